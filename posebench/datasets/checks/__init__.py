"""Checks: defects of annotation, box and image files, and the reading that would fit them."""
