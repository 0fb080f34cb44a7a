"""Whole files of a run, whose values do not matter but for those that a test gives."""

from recipekit.runner.runtime.machine import Machine

CLOCK = ("tokens_per_s", "eval_runtime")  # what the clock decides in a line of metrics.jsonl


def manifest_with(**facts):
    """A whole manifest; `facts` in place of what it would say."""
    return {"recipekit": "0", "type": "chat", "rows_read": 1, "rows_in": 1, "rows_kept": 1, "dropped": {}, "fixed": {}, "splits": {"train": 1},
            "files": {}, "sources": [], **facts}  # fmt: skip


def lock_with(**facts):
    """A whole lock."""
    return {"recipekit": "0", "python": "3", "packages": {}, "variables": {}, "model": {"path": "", "identity": "", "note": ""},
            "machine": Machine(cores=2)._asdict(), "train_key": "",
            "batch": {"micro_batch_size": 1, "gradient_accumulation_steps": 1, "processes": 1, "why": ""}, **facts}  # fmt: skip


def metrics_with(**facts):
    """Whole metrics: without `models` and `differences`, the given `metrics` were not measured."""
    nothing = {"value": None, "low": None, "high": None}
    names = facts.get("metrics", {})
    return {"rows": 1, "split": "validation", "baseline": "base", "base_model": "", "confidence": 0.95, "metrics": {},
            "models": {model: dict.fromkeys(names, nothing) for model in ("base", "tuned")},
            "differences": dict.fromkeys(names, {**nothing, "p_value": None, "significant": False}), "gates": {}, "generation": {},
            "evaluated_with": {"packages": {}, "machine": {}, "bits": 0}, "losses": {"train_loss": None, "validation_loss": None, "best_validation_loss": None},
            "diagnosis": {"state": "too_short", "sentence": ""}, **facts}  # fmt: skip
