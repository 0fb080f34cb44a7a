"""From predicted labels to metrics.json."""

import pytest
from recipekit.runner.evaluation.classification import NO_BASE, read_classified, score_classified
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.evaluation_sections import Gate
from recipekit.schemas.sections import Evaluation

from ...support.jsonl import write_jsonl

pytest.importorskip("sklearn", reason="needs the extra [eval]")
LABELS = ["a", "b"]


def lines(model: str, answers: str, probability: float = 0.9) -> list[dict]:
    """Ten rows whose labels are aaaaabbbbb."""
    return [
        {"model": model, "id": str(n), "label": "aaaaabbbbb"[n], "predicted": given,
         "probabilities": {given: probability, "ab"[given == "a"]: 1 - probability}}
        for n, given in enumerate(answers)
    ]  # fmt: skip


@pytest.fixture
def predictions(tmp_path):
    path = tmp_path / "predictions.jsonl"
    rows = [*lines("tuned", "aaaaabbbba"), *lines("majority", "aaaaaaaaaa", 0.5), *lines("tfidf", "ababaababa", 0.6)]
    write_jsonl(path, rows)
    return path


def scored(predictions, metrics=("macro_f1", "accuracy"), rows=10, **options):
    evaluation = Evaluation(metrics=metrics, **options)
    return score_classified(evaluation, read_classified(predictions, LABELS), LABELS, rows, {"split": "test"})


def test_every_model_has_every_metric_with_an_interval(predictions):
    metrics = scored(predictions)
    assert {model: found["accuracy"]["value"] for model, found in metrics["models"].items()} == {
        "tuned": 0.9,
        "majority": 0.5,
        "tfidf": 0.5,
    }
    assert all(
        0 <= found["low"] <= found["value"] <= found["high"] <= 1 for model in metrics["models"].values() for found in model.values()
    )
    assert metrics["split"] == "test"


def test_the_trained_model_is_compared_with_the_better_baseline(predictions):
    metrics = scored(predictions)
    assert metrics["baseline"] == "tfidf", "it has the higher macro-F1"
    expected = metrics["models"]["tuned"]["macro_f1"]["value"] - metrics["models"]["tfidf"]["macro_f1"]["value"]
    assert metrics["differences"]["macro_f1"]["value"] == pytest.approx(expected, abs=1e-5)


def test_labels_confusion_and_calibration_are_reported(predictions):
    metrics = scored(predictions)
    assert metrics["confusion"] == [[5, 0], [1, 4]]
    assert [(row["label"], row["rows"], row["predicted"]) for row in metrics["by_label"]["tuned"]] == [("a", 5, 6), ("b", 5, 4)]
    assert metrics["calibration_error"]["tuned"] == pytest.approx(0.0)
    assert metrics["calibration_error"]["tfidf"] == pytest.approx(0.1)


def test_a_missing_base_and_dropped_rows_are_explained(predictions):
    assert scored(predictions)["notes"] == [NO_BASE]
    assert scored(predictions, rows=12)["notes"][1].startswith("2 of 12 rows are longer")


def test_a_gate_is_about_the_trained_model(predictions):
    gates = scored(predictions, gates={"accuracy": Gate(min=0.95), "macro_f1": Gate(min=0.5)})["gates"]
    assert (gates["accuracy"]["passed"], gates["macro_f1"]["passed"]) == (False, True)


def test_missing_lines_are_refused_not_left_out(predictions):
    kept = predictions.read_text().splitlines(keepends=True)[:-1]
    predictions.write_text("".join(kept))
    with pytest.raises(UserError, match="no line of the tfidf model for the row '9', which another model has answered"):
        read_classified(predictions, LABELS)
