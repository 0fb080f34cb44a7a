"""Engines with one process: `recipe run` is stopped with a checkpoint in the middle, `recipe resume` trains to the end."""

import json
import math
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from results import FAILED, OK
from session import RECIPE, Session, Skipped, read_lines
from sides import settings

STEPS, STOP_AT = 6, 3
FULL_WEIGHTS = {"training.optimizer": "adamw_torch_fused", "training.adapter": "lora"}
ENGINES: dict[str, dict[str, Any]] = {
    "local": {},
    "zero2": {"launch.engine": "deepspeed", "launch.zero_stage": 2},
    "zero3": {"launch.engine": "deepspeed", "launch.zero_stage": 3, **FULL_WEIGHTS},
    "fsdp2": {"launch.engine": "torchrun", "launch.fsdp": "true", **FULL_WEIGHTS},
    "ray": {"launch.engine": "ray"},
}


def stop_and_resume(session: Session, engine: str, limit: float) -> dict[str, Any]:
    """Train three steps, stop, resume to the sixth. ok: a checkpoint was saved, and the resumed training ended with a model."""
    if engine != "local" and not session.on_gpu:
        raise Skipped("needs a GPU: Axolotl trains under this engine on GPUs only")
    if engine == "ray" and find_spec("ray") is None:
        raise Skipped("ray is not installed")
    folder = session.place(engine)
    more = {"training.max_steps": STEPS, "training.save_steps": STOP_AT, "training.eval_steps": STOP_AT, **ENGINES[engine]}
    argv = (*RECIPE, "run", "emogpt_qwen", "--runs-dir", folder / "runs", *settings(session, **more))
    first = session.run(argv, folder, limit / 2, {"RECIPEKIT_STOP_AT_STEP": str(STOP_AT)})
    run = next(iter((folder / "runs").glob("*/*/status.json")), folder / "none").parent
    saved = sorted(path.name for path in (run / "checkpoints").glob("checkpoint-*"))
    if not saved:
        return first.facts() | {
            "status": FAILED,
            "why": "no checkpoint was saved",
            "saved": None,
            "resumed": False,
            "largest_difference": None,
        }
    second = session.run((*RECIPE, "resume", run), folder, limit - first.seconds)
    resumed = (run / "model" / "tokenizer_config.json").is_file()
    losses = [line["loss"] for line in read_lines(run / "metrics.jsonl") if "loss" in line]
    facts = with_losses(second.facts() | {"saved": saved[-1], "resumed": resumed}, losses)
    if FULL_WEIGHTS.items() <= ENGINES[engine].items():  # another method than local's
        return facts | {"largest_difference": None}
    return facts | {"largest_difference": difference(losses, losses_of(session, "local")) if engine != "local" else 0.0}


def losses_of(session: Session, engine: str) -> list[float]:
    """Return the losses of an engine that was measured before, from results.jsonl."""
    lines = [line for line in read_lines(session.folder / "results.jsonl") if line["measurement"] == engine and line["status"] == OK]
    return lines[-1]["losses"] if lines else []


def difference(losses: list[float], others: list[float]) -> float | None:
    """Return the largest difference of two trainings' losses, step by step; None where they are not of the same steps, or not all
    numbers: `max` would pass over a NaN that does not come first."""
    if not losses or len(losses) != len(others) or not all(map(is_number, [*losses, *others])):
        return None
    return float(f"{max(abs(one - other) for one, other in zip(losses, others, strict=True)):.2g}")


def is_number(loss: Any) -> bool:
    """Whether a logged loss is one that a training can have; metrics.jsonl has others as text, steps.jsonl as NaN."""
    return isinstance(loss, float | int) and math.isfinite(loss)


def with_losses(facts: dict[str, Any], losses: list[Any]) -> dict[str, Any]:
    """Return the facts with their losses, failed where one is not a number."""
    wrong = [number for number, loss in enumerate(losses, 1) if not is_number(loss)]
    if not wrong:
        return facts | {"losses": losses}
    return facts | {"losses": [loss if is_number(loss) else str(loss) for loss in losses], "status": FAILED,
                    "why": f"the loss of line {wrong[0]} is {losses[wrong[0] - 1]}"}  # fmt: skip


def verify_resume(session: Session, limit: float) -> dict[str, Any]:
    """`recipe verify-resume`: what of a killed and resumed training is bit-identical on this device."""
    folder = session.place("verify_resume")
    argv = (*RECIPE, "verify-resume", "emogpt_qwen", "--steps", 2, "--json", "--runs-dir", folder / "runs", *settings(session))
    done = session.run(argv, folder, limit)
    if not done.stdout.startswith("{"):
        return done.facts()
    report = json.loads(done.stdout)
    return {"status": OK, **{key: report[key] for key in ("bit_identical", "same", "guaranteed", "parts", "kills")}}


def free(folder: Path) -> None:
    """Remove the checkpoints and models of a measurement: those of full training take tens of GB."""
    for path in [path for path in folder.rglob("*") if path.name == "model" or path.name.startswith("checkpoint-")]:
        shutil.rmtree(path, ignore_errors=True)
