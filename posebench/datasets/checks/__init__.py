"""Checks: what can be wrong in annotation, box and image files, and what reading would fit."""
