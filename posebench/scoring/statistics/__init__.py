"""Statistics: resamples of images, intervals, adjusted p-values."""
