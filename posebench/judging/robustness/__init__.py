"""What of its AP a network keeps on corrupted images. No torch."""
