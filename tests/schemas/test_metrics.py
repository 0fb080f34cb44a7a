"""The metrics' names stand in the schema twice and in the runner once: all the same."""

from recipekit.runner.evaluation import metrics as measured
from recipekit.schemas.metrics import LOSSES, METRICS, OF_LABELS
from recipekit.schemas.validation import schema, subschema


def test_the_schema_lists_the_metrics_and_gates_them_all() -> None:
    evaluation = subschema(schema("recipe"), ("evaluation",))["properties"]
    assert evaluation["metrics"]["items"]["enum"] == list(METRICS)
    assert evaluation["gates"]["propertyNames"]["enum"] == [*METRICS, *LOSSES]


def test_metrics_of_labels_are_metrics_and_losses_are_not() -> None:
    assert set(OF_LABELS) <= set(METRICS)
    assert not set(LOSSES) & set(METRICS)


def test_every_metric_has_record_types() -> None:
    kinds = set(subschema(schema("recipe"), ("data", "type"))["enum"])
    assert all(types and set(types) <= kinds for types in METRICS.values())
    assert {kind for types in METRICS.values() for kind in types} == kinds, "every record type can be measured"


def test_what_the_runner_measures_can_be_asked_for() -> None:
    assert set(measured.METRICS) <= set(METRICS)
