"""Reports and comparisons in a real browser, light and dark: axe-core finds nothing serious."""

import pytest
from recipekit.runner.reporting.comparison import write_page
from recipekit.runner.reporting.report import write_report
from recipekit.runner.runtime.run_files import METRICS

from ...support.finished_runs import HOSTILE, PROBES, write_chat_run, write_classification_run

pytest.importorskip("jinja2", reason="needs the extra [eval]: jinja2")


def test_a_report_of_chats(serious, tmp_path):
    assert serious(write_report(write_chat_run(tmp_path, ["some text", *HOSTILE]))) == []


def test_a_report_with_probes(serious, tmp_path):
    run = write_chat_run(tmp_path, ["some text"])
    run.write(METRICS, {**run.read(METRICS), **PROBES})
    assert serious(write_report(run)) == []


def test_a_report_of_a_classification(serious, tmp_path):
    assert serious(write_report(write_classification_run(tmp_path))) == []


def test_a_comparison(serious, tmp_path):
    estimate = {"value": 1.0, "low": 0.5, "high": 1.5}
    change = estimate | {"significant": True}
    found = {
        "runs": ["small/1", "small/2"], "states": ["done", "done"], "rows": 30, "confidence": 0.95, "notes": ["A note."],
        "differences": {"recipe": {"training.learning_rate": [1e-4, 2e-4]}, "data": {}, "environment": {"packages.torch": ["1", "2"]}},
        "metrics": {"perplexity": {"unit": "", "higher_is_better": False, "values": [estimate, estimate], "changes": [change]}},
    }  # fmt: skip
    assert serious(write_page(found, tmp_path / "comparison.html")) == []


def test_the_colours_that_mean_something_are_printed(browser, tmp_path):
    """Browsers leave backgrounds out on paper: without them nobody sees which tokens are trained."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        for run, name in (
            (write_chat_run(tmp_path / "chat", ["some text"]), "mark"),
            (write_classification_run(tmp_path / "labels"), ".confusion td"),
        ):
            browser.get(write_report(run).as_uri())
            found = browser.execute_script("return getComputedStyle(document.querySelector(arguments[0])).printColorAdjust", name)
            assert found == "exact"
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_axe_would_find_what_is_wrong(serious, tmp_path):
    """The test of the tests above."""
    path = tmp_path / "bad.html"
    path.write_text("<html><body><img src='x.png'><p style='color: #bbb; background: #fff'>hardly seen</p></body></html>")
    assert {rule for _, rule, _ in serious(path)} >= {"image-alt", "color-contrast", "html-has-lang"}
