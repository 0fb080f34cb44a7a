"""A report that is older than the run's numbers is said to be, and written again."""

import pytest
from recipekit.runner.reporting.report import write_report
from recipekit.runner.reporting.report_mark import is_outdated
from recipekit.runner.runtime.run_files import METRICS
from recipekit.schemas.base.errors import UserError

from ...support.corruption import DAMAGES
from ...support.finished_runs import write_chat_run

pytest.importorskip("jinja2", reason="needs the extra [eval]: jinja2")


@pytest.fixture
def run(tmp_path):
    """A run whose evaluation was replaced, and whose process was killed before it wrote the report."""
    run = write_chat_run(tmp_path, ["some text"])
    write_report(run)
    assert not is_outdated(run)
    run.write(METRICS, run.read(METRICS) | {"rows": 99})
    return run


def test_the_list_of_runs_names_an_outdated_report(run, command_line) -> None:
    assert "report.html is older than eval/metrics.json" in command_line("runs", "--runs-dir", run.path.parents[1], "--json").out


def test_the_report_command_repairs_it(run, command_line) -> None:
    assert command_line("report", run.path).code == 0
    assert not is_outdated(run) and "99" in (run / "report.html").read_text(encoding="utf-8")


def test_a_run_without_a_report_has_none_that_is_outdated(run) -> None:
    (run / "report.html").unlink()
    assert not is_outdated(run)


@pytest.mark.parametrize("damage", ["a folder", "a pipe", "a link to itself", "an unreadable file"])
def test_metrics_that_cannot_be_read_are_named(run, damage) -> None:
    DAMAGES[damage](run / METRICS.name)
    with pytest.raises(UserError, match="metrics.json: is damaged"):
        is_outdated(run)
