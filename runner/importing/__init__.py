"""Make recipes from configurations of other tools, with a report on every key, and from data files."""
