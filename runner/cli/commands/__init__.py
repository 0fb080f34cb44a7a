"""One file per verb of `recipe`."""
