"""One module per source: rows as they were read become records."""
