"""Read bytes of any supported format as rows with file and line."""
