"""The report stage ends a run: it writes the model card and the report, sets the state, and checks the gates."""

from ...schemas.base.errors import GateError, Problem
from ..reporting.model_card import write_cards
from ..reporting.report import write_report
from ..reporting.verdicts import failed_gates, gate_lines
from ..runtime.metrics_file import Metrics
from ..runtime.run_files import METRICS, REPORT
from ..runtime.run_folder import RunFolder
from .context import RunContext

NAME = "report"
OUTPUTS = (REPORT,)
OPTIONAL_OUTPUTS: tuple[str, ...] = ()
FINAL = False


def key(context: RunContext) -> None:
    """Return None: the stage is quick, and always run."""


def faults(run: RunFolder) -> list[str]:
    """Return none: the stage is always run."""
    return []


def run(context: RunContext) -> None:
    """Write the run's model card and report, then set its state: a finished run has both, whatever happens in between."""
    run = context.run
    failed = failed_gates(run.read(METRICS))
    ending = {"state": "refused" if failed else "done", "reason": "failed gates: " + ", ".join(failed) if failed else ""}
    write_cards(run, context.recipe)
    context.display.say(NAME, str(write_report(run, ending)))
    run.update(**ending)


def require_gates(metrics: Metrics) -> None:
    """Raise GateError with every gate that failed."""
    if failed := gate_lines(metrics, passed=(False,)):
        raise GateError(*(Problem("", f"gate {line}", "see the report", "gate") for line in failed))
