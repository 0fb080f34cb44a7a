"""How a run ends: its state is written last, and gates are checked when everything else is written."""

import json

import pytest
from recipekit.runner.runtime.console import Display
from recipekit.runner.runtime.run_files import METRICS
from recipekit.runner.stages import report as stage
from recipekit.runner.stages.context import RunContext
from recipekit.runner.stages.report import require_gates
from recipekit.schemas.base.errors import GateError, UserError
from recipekit.schemas.recipe import load_recipe

from ...support.finished_runs import write_chat_run

pytest.importorskip("jinja2", reason="needs the extra [eval]: jinja2")
LOW = {"value": 1.0, "min": 2, "max": None, "max_regression": None, "regression": None, "passed": False, "decided": True}
HIGH = {"value": 9.0, "min": None, "max": 5, "max_regression": None, "regression": None, "passed": False, "decided": True}
FINE = {"value": 3.0, "min": 2, "max": 5, "max_regression": None, "regression": None, "passed": True, "decided": None}


@pytest.fixture
def run(tmp_path):
    """A run whose model is evaluated, and that is still at work."""
    found = write_chat_run(tmp_path, ["some text"])
    found.update(state="running", reason="")
    (found / "model").mkdir(exist_ok=True)
    return found


def concluded(run, **gates):
    metrics = run.read(METRICS) | {"gates": gates}
    run.write(METRICS, metrics)
    with Display() as display:
        stage.run(RunContext(load_recipe("quickstart"), run.path.parent, display, run))
    return run.status


def test_a_run_that_is_done_has_a_card_and_a_report_that_say_so(run):
    assert concluded(run, perplexity=FINE)["state"] == "done"
    assert (run / "model" / "README.md").is_file()
    assert 'class="state done">done<' in (run / "report.html").read_text(encoding="utf-8")


def test_a_run_without_its_report_is_not_done(run):
    (run / "report.html").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        concluded(run, perplexity=FINE)
    assert run.status["state"] == "running"


def test_a_run_that_a_gate_refuses_is_marked_in_its_report(run):
    status = concluded(run, perplexity=FINE, bleu_4=LOW, loss=HIGH)
    assert (status["state"], status["reason"]) == ("refused", "failed gates: bleu_4, loss")
    assert 'class="state refused">refused<' in (run / "report.html").read_text(encoding="utf-8")
    assert json.loads((run / "status.json").read_text())["state"] == "refused"


def test_every_failed_gate_is_reported_with_its_limit():
    with pytest.raises(GateError) as refused:
        require_gates({"gates": {"perplexity": FINE, "bleu_4": LOW, "loss": HIGH}})
    assert [problem.what for problem in refused.value.problems] == [
        "gate FAILED: bleu_4 is 1.000, at least 2 is required",
        "gate FAILED: loss is 9.00, at most 5 is required",
    ]
    require_gates({"gates": {"perplexity": FINE}})
