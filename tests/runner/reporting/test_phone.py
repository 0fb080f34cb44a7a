"""Every page on a phone and on a desk, in a real browser: verdicts are in sight, labels are large enough, nothing overlaps."""

import pytest
from recipekit.runner.reporting.comparison import write_page
from recipekit.runner.reporting.report import write_report
from recipekit.runner.runtime.run_files import METRICS

from ...support.finished_runs import PROBES, write_chat_run, write_classification_run
from ...support.records import chat, inspected

pytest.importorskip("jinja2", reason="needs the extra [eval]: jinja2")

MEASURE = """
const box = node => node.getBoundingClientRect();
const inside = node => box(node).width > 0 && box(node).left >= 0 && box(node).right <= innerWidth;
const size = node => node.getScreenCTM().a * parseFloat(getComputedStyle(node).fontSize);
const texts = [...document.querySelectorAll('svg text')];
const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
return {
  verdicts: document.querySelectorAll('.verdict').length,
  hidden: [...document.querySelectorAll('.cards td:not(:empty)')].filter(node => !inside(node)).map(node => node.textContent),
  wide: document.documentElement.scrollWidth > innerWidth,
  labels: texts.length,
  smallest: Math.min(...texts.map(size)),
  cut: texts.filter(node => box(node).left < box(node.ownerSVGElement).left || box(node).right > box(node.ownerSVGElement).right + 1)
    .map(node => node.textContent),
  overlaps: texts.flatMap((one, index) => texts.slice(index + 1).filter(other => one.ownerSVGElement === other.ownerSVGElement
    && !apart(box(one), box(other))).map(other => one.textContent + ' | ' + other.textContent)),
}
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    run = write_chat_run(folder / "chat", ["some text"])
    with (run / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 60, "learning_rate": 0.000123456, "tokens_per_s": 123456.7}\n')
    run.write(METRICS, {**run.read(METRICS), **PROBES})
    estimate = {"value": 130.29, "low": 105.77, "high": 153.72}
    change = {"value": -42.41, "low": -61.2, "high": -20.1, "significant": True}
    found = {
        "runs": ["small/20260101-000000-aaaaaa", "small/20260101-000000-bbbbbb"], "states": ["done", "done"], "rows": 30, "confidence": 0.95,
        "notes": [], "differences": {"recipe": {"training.learning_rate": [1e-4, 2e-4]}, "data": {}, "environment": {"packages.torch": ["1", "2"]}},
        "metrics": {"perplexity": {"unit": "", "higher_is_better": False, "values": [estimate, estimate], "changes": [change]}},
    }  # fmt: skip
    return {
        "report of chats": write_report(run),
        "report of a classification": write_report(write_classification_run(folder / "labels")),
        "comparison": write_page(found, folder / "comparison.html"),
        "inspection": inspected(folder / "inspection", [*(chat(n, score=n * 100_000) for n in range(40)), {"id": "no messages"}])[0]
        / "index.html",
    }


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("page", ["report of chats", "report of a classification", "comparison", "inspection"])
def test_verdicts_are_visible_and_labels_readable(browser, pages, page, width):
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        browser.get(pages[page].as_uri())
        found = browser.execute_script(MEASURE)
    finally:
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**metrics, "width": 390, "mobile": True})
    assert found["verdicts"] > 0
    assert found["hidden"] == [] and not found["wide"]
    assert page == "comparison" or (found["labels"] > 4 and found["smallest"] >= 11)
    assert found["overlaps"] == [] and found["cut"] == []


def open_report_with(labels, browser, tmp_path):
    """Open the report of a classification with these labels."""
    run = write_classification_run(tmp_path)
    metrics, many = run.read(METRICS), range(len(labels))
    counts = [[10 if row == column else 1 for column in many] for row in many]
    by_label = {model: [{**rows[0], "label": label} for label in labels] for model, rows in metrics["by_label"].items()}
    run.write(METRICS, {**metrics, "labels": labels, "confusion": counts, "by_label": by_label})
    browser.get(write_report(run).as_uri())


def test_a_confusion_matrix_breaks_no_word_of_a_label(browser, tmp_path):
    labels = ["disappointment", "embarrassment", "nervousness", "admiration", "joy", "realization", "disapproval", "optimism", "gratitude"]
    open_report_with(labels, browser, tmp_path)
    lines = """return [...document.querySelectorAll('.confusion tbody th, .confusion thead th + th')].map(head => {
        const range = document.createRange(); range.selectNodeContents(head); return range.getClientRects().length; })"""
    assert browser.execute_script(lines) == [1] * 2 * len(labels)


def test_a_confusion_matrix_of_long_labels_fits_a_phone(browser, tmp_path):
    labels = ["Payment and invoices", "Delivery", "Rückgabe und Erstattung", "Account", "Technical defect", "Something else"]
    open_report_with(labels, browser, tmp_path)
    outside = "return [...document.querySelectorAll('.confusion th, .confusion td')].filter(n => n.getBoundingClientRect().right > innerWidth).length"
    assert browser.execute_script(outside) == 0
    assert "Rückgabe und Erstattung" in browser.find_element("css selector", ".confusion").text
