"""What recipes know of metrics."""

from recipekit.schemas.json_schema import schema, subschema
from recipekit.schemas.metrics import JUDGED, LOSSES, METRICS, OF_LABELS


def test_metrics_of_labels_and_judged_ones_are_metrics_and_losses_are_not() -> None:
    assert OF_LABELS and set(OF_LABELS) <= set(METRICS)
    assert JUDGED and set(JUDGED) <= set(METRICS)
    assert not set(LOSSES) & set(METRICS)


def test_every_record_type_can_be_measured() -> None:
    kinds = set(subschema(schema("recipe"), ("data", "type"))["enum"])
    assert {kind for types in METRICS.values() for kind in types} == kinds
