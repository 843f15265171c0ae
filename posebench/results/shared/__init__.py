"""Run directories that several processes write: who may, how parts become one, what is left."""
