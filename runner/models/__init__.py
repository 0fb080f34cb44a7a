"""The model that a run starts from: its source, its size, and its tiny version."""
