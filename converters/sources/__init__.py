"""One module per source: each turns rows into records."""
