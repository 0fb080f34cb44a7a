"""Reports and comparisons in a real browser, light and dark: axe-core finds nothing serious.

axe-core is an npm package: `npm install --no-save axe-core`, or AXE_CORE=path/to/axe.min.js.
"""

import os
from pathlib import Path

import pytest
from recipekit.runner.reporting.comparison import write_page
from recipekit.runner.reporting.report import write_report

from ...conftest import ROOT
from .test_report import HOSTILE, PROBES, browser, write_run  # noqa: F401 - a fixture
from .test_report_classification import page as classified  # noqa: F401 - a fixture

pytest.importorskip("jinja2", reason="needs the extra [eval]: jinja2")
RUN = "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(found => done(found.violations))"


@pytest.fixture(scope="module")
def axe() -> str:
    path = Path(os.environ.get("AXE_CORE") or ROOT / "node_modules" / "axe-core" / "axe.min.js")
    if not path.is_file():
        pytest.skip("needs axe-core: npm install --no-save axe-core")
    return path.read_text(encoding="utf-8")


@pytest.fixture
def serious(axe, browser):  # noqa: F811
    """What axe finds on a page that people cannot read or use, in both colour schemes."""

    def look(path: Path) -> list[tuple]:
        found = []
        for scheme in ("light", "dark"):
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            browser.get(path.as_uri())
            browser.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
            violations = browser.execute_async_script(RUN)
            found += [(scheme, v["id"], v["nodes"][0]["html"]) for v in violations if v["impact"] in ("serious", "critical")]
        return found

    return look


def test_a_report_of_chats(serious, tmp_path):
    assert serious(write_report(write_run(tmp_path, ["some text", *HOSTILE]))) == []


def test_a_report_with_probes(serious, tmp_path):
    run = write_run(tmp_path, ["some text"])
    run.write("eval/metrics.json", {**run.read("eval/metrics.json"), **PROBES})
    assert serious(write_report(run)) == []


def test_a_report_of_a_classification(serious, classified, tmp_path):  # noqa: F811
    assert serious(tmp_path / "report.html") == []


def test_a_comparison(serious, tmp_path):
    estimate = {"value": 1.0, "low": 0.5, "high": 1.5}
    change = estimate | {"distinguishable": True}
    found = {
        "runs": ["small/1", "small/2"], "states": ["done", "done"], "rows": 30, "confidence": 0.95, "notes": ["A note."],
        "differences": {"recipe": {"training.learning_rate": [1e-4, 2e-4]}, "data": {}, "environment": {"packages.torch": ["1", "2"]}},
        "metrics": {"perplexity": {"unit": "", "better": "lower", "values": [estimate, estimate], "changes": [change]}},
    }  # fmt: skip
    assert serious(write_page(found, tmp_path / "comparison.html")) == []


def test_axe_would_find_what_is_wrong(serious, tmp_path):
    """The test of the tests above."""
    path = tmp_path / "bad.html"
    path.write_text("<html><body><img src='x.png'><p style='color: #bbb; background: #fff'>hardly seen</p></body></html>")
    assert {rule for _, rule, _ in serious(path)} >= {"image-alt", "color-contrast", "html-has-lang"}
