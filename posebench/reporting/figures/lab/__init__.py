"""Figures of what the lab does to networks."""
