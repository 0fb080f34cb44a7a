"""Convert rows into a folder of records with a manifest."""
