"""What networks keep on corrupted images, as a table."""
