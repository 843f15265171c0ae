"""COCO-format data with boxes, and the procedural synthetic data set."""
