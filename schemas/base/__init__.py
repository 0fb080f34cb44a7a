"""Errors, atomic files, hashing and terminal output, shared by every room; it does not know recipes."""
