"""The memory prediction against published measurements: median and 90th percentile of the error, and how often it is too low.

    python benchmarks/memory.py                                # a table of every row, then one JSON object
    python benchmarks/memory.py --write docs/gpu/memory.md     # the same as a page

benchmarks/published_memory.json has the rows as their authors published them, and what their trainer does otherwise: see `theirs`.
Every other part of the prediction is that of `recipe plan`.
"""

import argparse
import json
import math
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from recipekit.runner.models.known_config import KnownConfig
from recipekit.runner.models.size import ModelSize, size_of_config
from recipekit.runner.resources.fit import MOST_ON_GPU
from recipekit.runner.resources.forward_pass import ForwardPass
from recipekit.runner.resources.memory import NF4_BYTES, MemoryPlan, memory_plan, step_bytes
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.batch import batch_of
from recipekit.schemas.sections import Recipe

ROWS = Path(__file__).with_name("published_memory.json")
A100 = Machine("cuda", 1, "an A100", 80 << 30, True, memory=512 << 30)
# memory.CUDA_RUNTIME is fitted to the rows of this model, by hand and to one digit, and checked on all others.
FITTED = "Qwen-7B"
# Without expandable segments, torch's allocator cannot join the free memory of several segments: what it holds in addition, as a share of
# activations and logits. Simulated (segments.py): 14 to 38 %. Our trainer has expandable segments.
GAPS = 0.2
MUCH = 0.1  # too low by more than this is what a user would notice: the training does not fit
UNITS = {"GB": 10**9, "GiB": 1 << 30}


class Row(NamedTuple):
    """One published measurement and its prediction, in bytes."""

    model: str
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
    size = size_of_config(KnownConfig(config))
    assert size
    if not config.get("fused_attention"):
        return size
    shapes = {name: shape for name, shape in size.shapes.items() if not name.endswith(("k_proj.weight", "v_proj.weight"))}
    widths = {name: (3 * shape[0], shape[1]) for name, shape in shapes.items() if name.endswith("q_proj.weight")}
    return size._replace(shapes=shapes | widths)


def predict(group: dict[str, Any], size: ModelSize, tokens: int, changes: dict[str, Any]) -> float:
    """What `recipe plan` would say of the group's training, if it were done by the group's trainer."""
    training = {"learning_rate": 1e-4, **group["training"], **changes}
    values = {
        "recipe": 1, "name": "published", "model": {"base_model": "a/b"}, "training": training, "launch": group.get("launch", {}),
        "data": {"type": "chat", "sources": [{"path": "rows.jsonl", "converter": "messages"}]}, "axolotl": group.get("axolotl", {}),
    }  # fmt: skip
    recipe = Recipe.from_values(values)
    at_once = batch_of(recipe).micro_batch_size * tokens
    # Qwen's rows are of flash attention; litgpt's of sdpa's causal kernel: neither has a mask.
    plan = memory_plan(recipe, size, A100, rows=ForwardPass(tokens, at_once, masked=False))
    return sum(theirs(group, recipe, size, plan, at_once).values()) * group.get("gpus", 1)


def theirs(group: dict[str, Any], recipe: Recipe, size: ModelSize, plan: MemoryPlan, tokens: int) -> dict[str, float]:
    """The parts of the plan, changed by what the group says of its trainer:

    `logit_bytes`: all logits exist. Under autocast logits, a shifted copy, its fp32 copy and log-softmax take 12 bytes; 6 if all is 16 bits
    `adam_copies`: torch 2.0 and 2.1 make two copies of the state they update, now one
    `keeps`: "inputs": bitsandbytes 0.41 kept the input of each 4-bit layer; "weights": AutoGPTQ multiplies with a dequantised weight, which
    autograd keeps until a layer's backward pass
    `weight_bits`: bits of a quantised weight with its constants
    `zero_bucket`: the elements of DeepSpeed's buckets
    `segments`: what is published is the allocator's memory, without expandable segments, and not that of its tensors
    `counts_context`: CUDA's context is counted
    """
    parts: dict[str, float] = {**plan.parts, "logits": tokens * size.vocabulary * group["logit_bytes"]}
    parts.pop("loading", None)  # Axolotl's conversion of embeddings
    linear = [math.prod(shape) for shape in size.linear.values()]
    if "zero_bucket" in group:
        parts["buckets"] = 2 * group["zero_bucket"] * 2
    if "weight_bits" in group:
        parts["weights"] += sum(linear) * (group["weight_bits"] / 8 - NF4_BYTES)
    if group.get("keeps") == "weights":
        parts["kept"] = 2 * (sum(linear) / size.layers - max(linear))  # the plan has the largest already
    elif group.get("keeps") == "inputs":
        parts["kept"] = 2 * tokens * size.layers * (3 * size.hidden + size.intermediate)
    passing = sum(parts.get(name, 0) for name in ("activations", "logits", "kept"))
    step = group.get("adam_copies", 1) * step_bytes(recipe, plan.trained, plan.parts["gradients"], 2)
    is_apart = group.get("segments") and recipe.launch.zero_stage == 3  # two buffers of gigabytes fit into no freed gap
    parts["optimizer step"] = step if is_apart else max(step - passing - parts.get("buckets", 0), 0)
    parts["gaps"] = GAPS * passing if group.get("segments") else 0
    return parts if group["counts_context"] else parts | {"runtime": 0}


def rows() -> Iterator[Row]:
    """Return every published row with its prediction."""
    published = json.loads(ROWS.read_text(encoding="utf-8"))
    for group in published["groups"]:
        size = size_of(published["models"][group["model"]])
        for tokens, measured, *changes in group["rows"]:
            changed = changes[0] if changes else {}
            case = ", ".join([f"{tokens:,} tokens", *(f"{key} {value}" for key, value in changed.items())])
            name = f"{group['model']}, {group['method']}"
            yield Row(group["model"], name, group["source"], case, measured * UNITS[group["unit"]], predict(group, size, tokens, changed))


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
    source = next(row.source for row in found if row.model == FITTED)
    fitted, others = (found_in(found, source, is_fitted) for is_fitted in (True, False))
    parts = {
        "all": found,
        f"{FITTED}, to which 1 GB was fitted": fitted,
        "held out: other models of the same source": others,
        "held out: another source": [row for row in found if row.source != source],
    }
    whole = [f"| {name} | {_figures(summary(rows))} |" for name, rows in parts.items()]
    groups = {row.group: [other for other in found if other.group == row.group] for row in found}
    lines = [f"| {group} | {_figures(summary(rows))} |" for group, rows in groups.items()]
    each = [f"| {r.group}, {r.case} | {r.measured / 1e9:.1f} GB | {r.predicted / 1e9:.1f} GB | {r.error:+z.0%} |" for r in found]
    sources = "\n".join(f"- {source}" for source in dict.fromkeys(row.source for row in found))
    return f"""# Predicted memory against published measurements

Written by `python benchmarks/memory.py --write docs/gpu/memory.md`. {note}

| rows of | number | median error | 90th percentile | more than 10 % under | lowest | highest |
|---|--:|--:|--:|--:|--:|--:|
{chr(10).join(whole)}

| group | number | median error | 90th percentile | more than 10 % under | lowest | highest |
|---|--:|--:|--:|--:|--:|--:|
{chr(10).join(lines)}

| row | measured | predicted | prediction is off by |
|---|--:|--:|--:|
{chr(10).join(each)}

Sources:

{sources}
"""


def found_in(found: list[Row], source: str, is_fitted: bool) -> list[Row]:
    """The rows of a source, of the model that the constants were fitted to or of all others."""
    return [row for row in found if row.source == source and (row.model == FITTED) == is_fitted]


def _figures(total: dict[str, Any]) -> str:
    errors = f"{total['median_error']:.1%} | {total['p90_error']:.1%} | {total['share_10_percent_under']:.0%}"
    return f"{total['rows']} | {errors} | {total['worst_under']:+.1%} | {total['worst_over']:+.1%}"


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
