"""What the report adds for a classification, with labels and texts that try to be markup."""

import pytest
from recipekit.runner.reporting.report import write_report
from recipekit.runner.reporting.report_rows import SHOWN, classified_rows
from recipekit.runner.reporting.verdicts import answer

from ...support.finished_runs import LABELS, classification_metrics, classified_line, write_classification_run


@pytest.fixture
def page(tmp_path) -> str:
    return write_report(write_classification_run(tmp_path)).read_text()


def test_the_page_shows_labels_confusion_and_calibration(page):
    for text in ("By label", "Confusion matrix", "tuned 0.125", "Validation scores", "against TF-IDF + logistic regression",
                 "The base is not measured.", "4 rows (2 calm"):  # fmt: skip
        assert text in page
    assert 'style="--share: 0.50">1</td>' in page, "one of two rows of the second label"


def test_the_legend_of_what_is_trained_is_that_of_labels(page):
    assert "the text is read, its label is trained" in page and "<mark>" not in page


def test_labels_and_texts_are_never_markup(page):
    assert "<script>" not in page and "<b>bold" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_answer_names_the_baseline():
    words = "On 4 test rows the tuned model's macro-F1 is better than that of TF-IDF + logistic regression: 0.750 against 0.550."
    assert answer(classification_metrics(significant=True)) == words
    assert (
        answer(classification_metrics(significant=False))
        == "On 4 test rows there is no significant difference between the tuned model and TF-IDF + logistic regression."
        " With fewer than 6 rows no difference can be significant."
    )


def test_rows_are_those_of_the_trained_model_most_confident_first_and_not_too_many():
    wrong = [classified_line(row, "calm", LABELS[1], 0.5 + row / 100) for row in range(SHOWN + 5)]
    given = [
        *wrong,
        classified_line(90, "calm", "calm", 0.99),
        classified_line(92, "calm", "calm", 0.6),
        classified_line(91, "calm", LABELS[1], 0.99, model="tfidf"),
    ]
    right, mistaken = classified_rows(given, {entry["id"]: {"text": "x"} for entry in given})
    assert [entry["id"] for entry in mistaken] == [f"r{row}" for row in range(SHOWN + 4, 4, -1)]
    assert [entry["id"] for entry in right] == ["r90", "r92"]


def test_a_chat_has_no_labels():
    assert classified_rows([{"model": "tuned", "id": "a", "reply": "hi"}], {"a": {"messages": []}}) == ([], [])
