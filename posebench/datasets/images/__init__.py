"""Images: files read, compared with their annotations, and hashed."""
