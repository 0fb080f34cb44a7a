"""The model that a run starts from: where it comes from, how big it is, its shrunk twin."""
