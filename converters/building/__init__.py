"""Rows through a converter -> a folder of records with its manifest."""
