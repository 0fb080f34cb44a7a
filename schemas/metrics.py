"""Which metrics there are, on which record types, and what they need. recipe.schema.json has it from runner/evaluation/metrics."""

from typing import Any

from .json_schema import schema

_METRICS: dict[str, dict[str, Any]] = schema("recipe")["properties"]["evaluation"]["properties"]["metrics"]["x-metrics"]

METRICS = {name: tuple(metric["record_types"]) for name, metric in _METRICS.items()}
# Metrics of which neither direction is better.
UNDIRECTED = tuple(name for name, metric in _METRICS.items() if metric.get("undirected"))
# Measured on replies only where evaluation.labels says which replies are labels.
OF_LABELS = tuple(name for name, metric in _METRICS.items() if metric.get("needs") == "labels")
# Measured where evaluation.judge names a model that judges.
JUDGED = tuple(name for name, metric in _METRICS.items() if metric.get("needs") == "judge")
# What a gate may limit beside metrics: the last epoch's mean training loss, and the validation loss of the weights that were kept.
LOSSES = ("train_loss", "validation_loss")
