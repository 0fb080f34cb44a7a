"""Errors, atomic files, hashing: what every room stands on; it knows nothing of recipes."""
