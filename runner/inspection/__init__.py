"""Describe files of records, read once in bounded memory, as files and as one page."""
