"""Publishers: what the names, shapes and configs of each one's files say."""
