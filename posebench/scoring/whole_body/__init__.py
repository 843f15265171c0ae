"""COCO-WholeBody: the body in parts, each scored by itself, and all of it together."""
