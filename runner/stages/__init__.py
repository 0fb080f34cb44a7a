"""Data, train, merge, evaluate, finish: what each needs, leaves and is keyed by."""
