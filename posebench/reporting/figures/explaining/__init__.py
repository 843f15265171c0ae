"""Figures of `posebench explain`."""
