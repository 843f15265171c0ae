"""Corruptions of images, each at five levels, the same for the same seed and image.

`names` has what a user may write, without arrays; `CORRUPTIONS` in `applying` has the functions.
"""
