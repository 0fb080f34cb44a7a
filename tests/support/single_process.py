"""The training of one process that several processes and several machines are compared with."""

from pathlib import Path

from recipekit.runner.runtime.progress import read_lines

# No dropout: each process draws its own. 28 rows in steps of 4 leave no batch to be filled up.
SAME = ["training.lora_dropout=0", "training.max_steps=7", "training.eval_steps=7", "training.save_steps=3", "evaluation.max_rows=1",
        "evaluation.metrics=[perplexity]", "evaluation.generation.max_new_tokens=null"]  # fmt: skip
ROWS = 32


def settings(*values: str) -> list[str]:
    """Arguments of the command line."""
    return [word for value in values for word in ("--set", value)]


def losses(run: Path) -> dict[int, float]:
    """The loss of each step; no step may stand there twice."""
    found = [(line["step"], line["loss"]) for line in read_lines(run / "metrics.jsonl") if "loss" in line]
    assert [step for step, _ in found] == sorted({step for step, _ in found}), "a step was written twice"
    return dict(found)
