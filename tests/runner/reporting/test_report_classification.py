"""What the report adds for a classification, with labels and texts that try to be markup."""

import pytest
from recipekit.runner.reporting.report import answer, write_report
from recipekit.runner.reporting.report_rows import SHOWN, classified_rows
from recipekit.runner.runtime.run_folder import RunFolder

from ...tiny import write_jsonl

LABELS = ["calm", "<script>alert(1)</script>"]


def line(row: int, label: str, predicted: str, probability: float, model: str = "tuned") -> dict:
    other = next(name for name in LABELS if name != predicted)
    return {"model": model, "id": f"r{row}", "label": label, "predicted": predicted,
            "probabilities": {predicted: probability, other: 1 - probability}}  # fmt: skip


def metrics(distinguishable: bool, value: float = 0.2) -> dict:
    estimate = {"value": 0.75, "low": 0.5, "high": 1.0}
    rows = [{"label": label, "precision": 1.0, "recall": 0.5, "f1": 0.667, "rows": 2, "predicted": 1} for label in LABELS]
    return {
        "rows": 4, "split": "test", "base_model": "a/b", "confidence": 0.95, "against": "tfidf", "notes": ["The base is not measured."],
        "metrics": {"macro_f1": {"unit": "", "better": "higher"}}, "gates": {}, "labels": LABELS,
        "models": {"tuned": {"macro_f1": estimate}, "tfidf": {"macro_f1": estimate | {"value": 0.55}}, "majority": {"macro_f1": estimate | {"value": 0.25}}},
        "differences": {"macro_f1": {"value": value, "low": 0.1, "high": 0.3, "distinguishable": distinguishable}},
        "by_label": {"tuned": rows, "tfidf": rows, "majority": rows}, "confusion": [[2, 0], [1, 1]],
        "calibration_error": {"tuned": 0.125, "tfidf": 0.3, "majority": 0.0},
    }  # fmt: skip


@pytest.fixture
def page(tmp_path) -> str:
    run = RunFolder(tmp_path)
    run.write("status.json", {"recipe": "types", "state": "done", "stages": {}})
    run.write(
        "lock.json", {"recipekit": "0", "python": "3", "packages": {}, "model": {"note": ""}, "machine": {"gpu_name": "", "cores": 2}}
    )
    run.write("data/manifest.json", {"rows_in": 4, "rows_kept": 4, "dropped": {}, "fixed": {}, "splits": {"train": 4}})
    counts = {"rows": 4, "trained_rows": 4, "labels": dict.fromkeys(LABELS, 2), "tokens": 99, "longest": 30, "long_rows": {}}
    run.write("tokens.json", {"train": counts})
    run.write("eval/metrics.json", metrics(distinguishable=True))
    write_jsonl(tmp_path / "eval" / "predictions.jsonl", [line(1, LABELS[1], "calm", 0.875), line(2, "calm", "calm", 0.9)])
    write_jsonl(tmp_path / "eval" / "rows.jsonl", [{"id": f"r{n}", "text": "<b>bold</b>", "label": "calm"} for n in (1, 2)])
    write_jsonl(tmp_path / "metrics.jsonl", [{"step": n, "eval_macro_f1": n / 9, "eval_accuracy": n / 8} for n in (1, 2)])
    (tmp_path / "recipe.yml").write_text("name: types\n")
    return write_report(run).read_text()


def test_the_page_has_the_labels_the_confusion_the_calibration_and_the_curves(page):
    for text in ("By label", "Confusion matrix", "tuned 0.125", "Validation scores", "against TF-IDF + logistic regression",
                 "The base is not measured.", "4 rows (2 calm"):  # fmt: skip
        assert text in page
    assert 'style="--share: 0.50">1</td>' in page, "one of two rows of the second label"


def test_labels_and_texts_are_never_markup(page):
    assert "<script>" not in page and "<b>bold" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_answer_names_the_baseline():
    words = "On 4 held-out rows the tuned model's macro f1 is better than that of TF-IDF + logistic regression: 0.750 against 0.550."
    assert answer(metrics(distinguishable=True)) == words
    assert answer(metrics(distinguishable=False)) == "On 4 test rows the tuned model cannot be told from TF-IDF + logistic regression."


def test_rows_are_those_of_the_trained_model_surest_first_and_not_too_many():
    wrong = [line(row, "calm", LABELS[1], 0.5 + row / 100) for row in range(SHOWN + 5)]
    given = [*wrong, line(90, "calm", "calm", 0.99), line(92, "calm", "calm", 0.6), line(91, "calm", LABELS[1], 0.99, model="tfidf")]
    right, mistaken = classified_rows(given, {entry["id"]: {"text": "x"} for entry in given})
    assert [entry["id"] for entry in mistaken] == [f"r{row}" for row in range(SHOWN + 4, 4, -1)]
    assert [entry["id"] for entry in right] == ["r90", "r92"]


def test_a_chat_has_none():
    assert classified_rows([{"model": "tuned", "id": "a", "reply": "hi"}], {"a": {"messages": []}}) == ([], [])
