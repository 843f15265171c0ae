"""Kept answers: predictions and raw outputs on disk, named by a hash of all that moves them."""
