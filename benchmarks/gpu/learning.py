"""Real learning: the recipe emogpt_qwen as shipped, with the embedded model's real weights, on the rows that are given: all of it."""

import json
from typing import Any

from results import OK
from session import RECIPE, Session, read_lines
from sides import TINY_ROWS

EMBEDDED = "embedded:smollm2-135m-instruct"
MISSED_A_GATE = 3  # the exit code of a run that did everything and misses a target; the guide's are for a larger model


def learning(session: Session, limit: float) -> dict[str, Any]:
    """`recipe run emogpt_qwen` for the guide's epochs, with evaluation, gates and report: the metrics of base and tuned model."""
    folder = session.place("learning")
    values: dict[str, Any] = {"model.base_model": EMBEDDED, "model.pad_token": "null", "data.sources.0.path": session.rows}
    values |= dict.fromkeys(("training.trackers", "training.tracker_project", "training.tracker_run_name"), "null")
    if session.tiny:  # an epoch of few steps, and few short replies
        values |= {"data.sources.0.limit": TINY_ROWS, "training.num_epochs": 1, "training.eval_steps": 1, "training.save_steps": 1,
                   "training.micro_batch_size": 1, "evaluation.max_rows": 2, "evaluation.generation.max_new_tokens": 8,
                   "evaluation.also": "null", "evaluation.prompts": "null"}  # fmt: skip
    changes = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
    done = session.run((*RECIPE, "run", "emogpt_qwen", "--runs-dir", folder / "runs", *changes), folder, limit)
    run = next(iter((folder / "runs").glob("*/*/status.json")), folder / "none").parent
    facts = done.facts() | ({"status": OK} if done.code == MISSED_A_GATE else {})
    found = run / "eval" / "metrics.json"
    if not found.is_file():
        return facts
    metrics = json.loads(found.read_text(encoding="utf-8"))
    models = {name: {metric: seen["value"] for metric, seen in model.items()} for name, model in metrics["models"].items()}
    losses = [line["loss"] for line in read_lines(run / "metrics.jsonl") if "loss" in line]
    return facts | {"models": models, "losses_of_run": metrics["losses"], "steps_trained": len(losses), "report": str(run / "report.html")}
