"""Publishers: reading the names, shapes and configs of each one's files."""
