"""Images: files read, held against their annotations, and hashed."""
