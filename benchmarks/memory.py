"""The memory prediction against published measurements: median and 90th percentile of the error, and how often it is too low.

    python benchmarks/memory.py                                # a table of every row, then one JSON object
    python benchmarks/memory.py --write docs/gpu/memory.md     # the same as a page

benchmarks/published_memory.json has the rows as their authors published them, and what their trainer does otherwise than ours. Every part
of the prediction is that of `recipe plan`, but for the logits, which exist whole in those trainers, the size of DeepSpeed's buckets where
they set another, and CUDA's context, which some do not count.
"""

import argparse
import json
import math
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from recipekit.runner.models.size import ModelSize, model_size
from recipekit.runner.resources.fit import MOST_ON_GPU
from recipekit.runner.resources.forward_pass import ForwardPass
from recipekit.runner.resources.memory import memory_plan
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.batch import batch_of
from recipekit.schemas.sections import Recipe

ROWS = Path(__file__).with_name("published_memory.json")
A100 = Machine("cuda", 1, "an A100", 80 << 30, True, memory=512 << 30)
MUCH = 0.1  # too low by more than this is what a user would notice: the training does not fit
UNITS = {"GB": 10**9, "GiB": 1 << 30}


class Row(NamedTuple):
    """One published measurement and its prediction, in bytes."""

    group: str
    source: str
    case: str
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        return self.predicted / self.measured - 1


def size_of(config: dict[str, Any]) -> ModelSize:
    """The model's size; where queries, keys and values are one matrix, as that."""
    size = model_size("x", public={"x": {"config": config}})
    assert size
    if not config.get("fused_attention"):
        return size
    shapes = {name: shape for name, shape in size.shapes.items() if not name.endswith(("k_proj.weight", "v_proj.weight"))}
    widths = {name: (3 * shape[0], shape[1]) for name, shape in shapes.items() if name.endswith("q_proj.weight")}
    return size._replace(shapes=shapes | widths)


def predict(group: dict[str, Any], size: ModelSize, tokens: int, changes: dict[str, Any]) -> float:
    """What `recipe plan` would say of the group's training, with the logits of its trainer."""
    training = {"learning_rate": 1e-4, **group["training"], **changes}
    values = {
        "recipe": 1, "name": "published", "model": {"base_model": "a/b"}, "training": training, "launch": group.get("launch", {}),
        "data": {"type": "chat", "sources": [{"path": "rows.jsonl", "converter": "messages"}]}, "axolotl": group.get("axolotl", {}),
    }  # fmt: skip
    recipe = Recipe.from_values(values)
    at_once = batch_of(recipe).micro_batch_size * tokens
    # Qwen's rows are of flash attention; litgpt's of sdpa's causal kernel: neither has a mask.
    plan = memory_plan(recipe, size, A100, rows=ForwardPass(tokens, at_once, masked=False))
    parts = dict(plan.parts)
    parts["logits"] = at_once * size.vocabulary * group["logit_bytes"]
    if "optimizer step" in parts:  # what the step needs beyond the logits, which are gone by then
        parts["optimizer step"] = max(parts["optimizer step"] + plan.parts["logits"] - parts["logits"], 0)
    if "zero_bucket" in group:
        parts["buckets"] = 2 * group["zero_bucket"] * 2
    if not group["counts_context"]:
        del parts["runtime"]
    return sum(parts.values()) * group.get("gpus", 1)


def rows() -> Iterator[Row]:
    """Return every published row with its prediction."""
    published = json.loads(ROWS.read_text(encoding="utf-8"))
    for group in published["groups"]:
        size = size_of(published["models"][group["model"]])
        for tokens, measured, *changes in group["rows"]:
            changed = changes[0] if changes else {}
            case = ", ".join([f"{tokens:,} tokens", *(f"{key} {value}" for key, value in changed.items())])
            name = f"{group['model']}, {group['method']}"
            yield Row(name, group["source"], case, measured * UNITS[group["unit"]], predict(group, size, tokens, changed))


def summary(found: list[Row]) -> dict[str, Any]:
    """Sum the errors up."""
    errors = sorted(abs(row.error) for row in found)
    low = [row for row in found if row.error < -MUCH]
    return {
        "rows": len(found),
        "median_error": round(statistics.median(errors), 3),
        "p90_error": round(errors[math.ceil(0.9 * len(errors)) - 1], 3),
        "share_10_percent_under": round(len(low) / len(found), 3),
        "share_above_most": round(sum(row.measured > row.predicted * MOST_ON_GPU for row in found) / len(found), 3),
        "worst_under": round(min(row.error for row in found), 3),
        "worst_over": round(max(row.error for row in found), 3),
    }


def page(found: list[Row], note: str) -> str:
    """The table in Markdown."""
    total, lines = summary(found), []
    for group in dict.fromkeys(row.group for row in found):
        own = summary([row for row in found if row.group == group])
        lines.append(f"| {group} | {own['rows']} | {own['median_error']:.0%} | {own['worst_under']:+.0%} | {own['worst_over']:+.0%} |")
    each = [f"| {r.group}, {r.case} | {r.measured / 1e9:.1f} GB | {r.predicted / 1e9:.1f} GB | {r.error:+.0%} |" for r in found]
    sources = "\n".join(f"- {source}" for source in dict.fromkeys(row.source for row in found))
    return f"""# Predicted memory against published measurements

Written by `python benchmarks/memory.py --write docs/gpu/memory.md`. {note}

| rows | median error | 90th percentile | more than 10 % under | lowest | highest |
|--:|--:|--:|--:|--:|--:|
| {total["rows"]} | {total["median_error"]:.0%} | {total["p90_error"]:.0%} | {total["share_10_percent_under"]:.0%} of the rows | \
{total["worst_under"]:+.0%} | {total["worst_over"]:+.0%} |

| group | rows | median error | lowest | highest |
|---|--:|--:|--:|--:|
{chr(10).join(lines)}

| row | measured | predicted | prediction is off by |
|---|--:|--:|--:|
{chr(10).join(each)}

Sources:

{sources}
"""


def main() -> None:
    """Print or write the table, and print the JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="the page to write")
    options = parser.parse_args()
    found = list(rows())
    text = page(found, json.loads(ROWS.read_text(encoding="utf-8"))["note"])
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    else:
        print(text)
    print(json.dumps(summary(found)))


if __name__ == "__main__":
    main()
