"""Configurations of other tools -> recipes, with a report on every key."""
