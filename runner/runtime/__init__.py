"""A run's directory, its child processes and checkpoints, the console and the machine."""
