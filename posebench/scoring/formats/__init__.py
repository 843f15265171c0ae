"""Results as other tools write them, turned into COCO results; what was changed is counted."""
