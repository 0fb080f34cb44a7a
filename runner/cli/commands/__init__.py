"""One file per command of `recipe`."""
