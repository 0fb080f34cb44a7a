"""Bytes of any form -> rows, with file and line."""
