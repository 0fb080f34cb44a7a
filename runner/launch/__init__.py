"""Render a recipe to the files, the command and the environment that train it."""
