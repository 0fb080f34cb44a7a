"""Evaluate the trained model against its baselines: predictions, metrics, intervals."""
