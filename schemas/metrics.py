"""The metrics, their record types, and what they need. recipe.schema.json gets these from runner/evaluation/metrics."""

from typing import Any

from .json_schema import schema

_METRICS: dict[str, dict[str, Any]] = schema("recipe")["properties"]["evaluation"]["properties"]["metrics"]["x-metrics"]

METRICS = {name: tuple(metric["record_types"]) for name, metric in _METRICS.items()}
# Metrics without a better direction.
UNDIRECTED = tuple(name for name, metric in _METRICS.items() if metric.get("undirected"))
# On replies, measured only if evaluation.labels lists the labels.
OF_LABELS = tuple(name for name, metric in _METRICS.items() if metric.get("needs") == "labels")
# Measured only if evaluation.judge names a judge.
JUDGED = tuple(name for name, metric in _METRICS.items() if metric.get("needs") == "judge")
# Measured on replies, which must be generated.
OF_REPLIES = tuple(name for name, metric in _METRICS.items() if metric.get("replies"))
# Losses that gates may limit: the last epoch's mean training loss, and the validation loss of the weights that were kept.
LOSSES = ("train_loss", "validation_loss")
