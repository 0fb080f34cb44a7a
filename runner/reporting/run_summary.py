"""Summarise a run for `recipe runs` and sweeps. Losses and metrics are those of its report."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from ...schemas.base.errors import UserError
from ..evaluation.training_losses import losses
from ..runtime.metrics_file import Metrics
from ..runtime.progress import read_lines
from ..runtime.run_files import METRICS, STEP_LOG
from ..runtime.run_folder import RunFolder
from ..runtime.working_time import working_seconds
from .report_mark import outdated_note
from .verdicts import all_scores


def run_summary(run: RunFolder) -> dict[str, Any]:
    """Return a run's state and numbers. A run with the state `running` whose process is gone was killed."""
    status: dict[str, Any] = {}
    lines: list[dict[str, Any]] = []
    evaluated: Metrics | None = None
    outdated = ""
    try:
        status = dict(run.status)
        lines = read_lines(run / STEP_LOG, "step")
        evaluated = run.find(METRICS)
        outdated = outdated_note(run)
    except UserError as error:
        status |= {"state": "damaged", "reason": str(error)}
    measured = evaluated["losses"] if evaluated else losses(lines)
    measured_values = [*_values(evaluated)] if evaluated else []
    state = status.get("state", "damaged")
    state = "killed" if state == "running" and not run.is_locked() else state
    seconds = working_seconds(run.path, status, time.time() if state == "running" else None)
    return {
        "run": str(run.path),
        "recipe": run.path.parent.name,
        "state": state,
        "smoke": bool(status.get("smoke")),
        "stages": sorted(status.get("stages", {})),
        "steps": max((line["step"] for line in lines), default=0),
        **{key: measured[key] for key in ("train_loss", "validation_loss")},
        "metrics": {name: value for name, value, _ in measured_values},
        "units": {name: unit for name, _, unit in measured_values},
        "seconds": seconds if seconds >= 0 else None,  # the clock was set back
        "reason": "\n".join(filter(None, (status.get("reason"), edited_note(status), outdated))),
    }


def _values(evaluated: Metrics) -> Iterator[tuple[str, float | None, str]]:
    """Yield the tuned model's metrics with their units; those of the rubric and of further sets as table.metric."""
    for place, scores in all_scores(evaluated):
        for name, metric in scores["metrics"].items():
            yield ".".join(filter(None, (place, name))), scores["models"]["tuned"][name]["value"], metric["unit"]


def edited_note(status: Mapping[str, Any]) -> str:
    """Return which files of the run were changed; empty if none were."""
    return f"edited by hand, and accepted: {', '.join(status['edited'])}" if status.get("edited") else ""
