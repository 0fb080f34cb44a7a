"""A run in a dozen plain values: what `recipe runs` and a sweep say of it."""

from typing import Any

from ...schemas.base.errors import UserError
from ..evaluation.training_losses import is_number, losses
from ..runtime.progress import read_lines
from ..runtime.run_folder import RunFolder


def run_summary(run: RunFolder) -> dict[str, Any]:
    """A run's state and numbers. A run that says it is running but whose process is gone was killed."""
    status: dict[str, Any]
    try:
        status = dict(run.status)
    except UserError as error:
        status = {"state": "damaged", "reason": str(error)}
    lines: list[dict[str, Any]] = []
    try:
        lines = read_lines(run / "metrics.jsonl", "step")
    except UserError as error:
        status = {**status, "state": "damaged", "reason": str(error)}
    trained = [line["loss"] for line in lines if is_number(line.get("loss"))]
    state = status.get("state", "damaged")
    state = "killed" if state == "running" and not run.is_locked() else state
    return {
        "run": str(run.path),
        "recipe": run.path.parent.name,
        "state": state,
        "smoke": bool(status.get("smoke")),
        "stages": sorted(status.get("stages", {})),
        "steps": max((line["step"] for line in lines), default=0),
        "loss": trained[-1] if trained else None,
        "best_eval_loss": losses(lines)["best_validation_loss"],
        "seconds": round(status.get("updated", 0) - status.get("started", status.get("updated", 0)), 1),
        "reason": status.get("reason", ""),
    }
