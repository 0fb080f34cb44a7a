"""Other tools' configurations -> recipes, with an account of every key."""
