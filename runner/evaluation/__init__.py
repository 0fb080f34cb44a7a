"""Trained model beside its baselines: predictions, metrics, intervals."""
