"""What lies elsewhere: the web, and every file system that fsspec speaks to."""
