"""Predicted against measured peak memory on this machine's CPU: SmolLM2-135M-Instruct, three steps of each kind of training.

    python benchmarks/cpu_peaks.py [CASE ...]     # a minute or two a case; a line when each ends, then one JSON object

Rows are chats of one length; their last reply is half of them. Each case is the train stage of `recipe run`, whose memory.json has both.
"""

import argparse
import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from recipekit.runner.workflows.resume_check import prepare
from recipekit.schemas.recipe import load_recipe

LORA = {"lora_r": 16, "lora_alpha": 32, "lora_dropout": 0.05}


class Case(NamedTuple):
    """Keys of `training`, and how many tokens a row has, about."""

    tokens: int
    training: dict[str, Any]


CASES = {
    "full, 2 x 512": Case(512, {"adapter": "none", "micro_batch_size": 2}),
    "full, 4 x 512, gradient checkpointing": Case(512, {"adapter": "none", "micro_batch_size": 4, "gradient_checkpointing": True}),
    "lora r 16, 4 x 512": Case(512, {"adapter": "lora", **LORA, "micro_batch_size": 4}),
    "lora r 16, 4 x 512, gradient checkpointing": Case(
        512, {"adapter": "lora", **LORA, "micro_batch_size": 4, "gradient_checkpointing": True}
    ),
    "qlora r 16, 2 x 512": Case(512, {"adapter": "qlora", **LORA, "micro_batch_size": 2}),
    "qlora r 16, 4 x 128": Case(128, {"adapter": "qlora", **LORA, "micro_batch_size": 4}),
    "qlora r 8, 4 x 192": Case(192, {"adapter": "qlora", **LORA, "lora_r": 8, "micro_batch_size": 4}),
    "qlora r 32, 1 x 1,792": Case(1792, {"adapter": "qlora", **LORA, "lora_r": 32, "micro_batch_size": 1}),
}


def write(folder: Path, case: Case) -> Path:
    """The recipe and its rows."""
    chance = random.Random(0)
    half = case.tokens // 2 - 24  # the template's tokens; a word is about one
    words = ["time", "person", "year", "way", "day", "thing", "man", "world", "life", "hand", "part", "child", "eye", "place", "work"]

    def text() -> str:
        return " ".join(chance.choices(words, k=half))

    rows = [{"messages": [{"role": "user", "content": text()}, {"role": "assistant", "content": text()}]} for _ in range(16)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    recipe = {
        "recipe": 1, "name": "peaks", "model": {"base_model": "embedded:smollm2-135m-instruct", "pad_token": "<|endoftext|>"},
        "data": {"type": "chat", "sources": [{"path": "rows.jsonl", "converter": "messages"}], "split": {"validation": 0.1}},
        "training": {"learning_rate": 1e-4, "sequence_len": 2048, "max_steps": 3, "save_steps": 3, "eval_steps": 3}
        | case.training,
    }  # fmt: skip
    (folder / "peaks.yml").write_text(json.dumps(recipe), encoding="utf-8")
    return folder / "peaks.yml"


def measure(case: Case) -> dict[str, Any]:
    """Train, and return what was predicted and what was measured, in bytes."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        trial = prepare(load_recipe(str(write(folder, case))), folder, folder / "run", lambda event: None)
        trial.train()
        memory = json.loads((folder / "run" / "memory.json").read_text(encoding="utf-8"))
    predicted = memory["predicted"]
    return {"tokens": predicted["tokens"], "predicted": predicted["needed"], "measured": memory["peak"], "parts": predicted["parts"]}


def main() -> None:
    """Measure each case, and print the JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="which (default: all)")
    options = parser.parse_args()
    os.environ |= {"RECIPEKIT_DEVICE": "cpu", "AXOLOTL_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1"}
    found = {}
    for name in options.cases or CASES:
        found[name] = line = measure(CASES[name])
        off = line["predicted"] / line["measured"] - 1
        print(f"{name}: predicted {line['predicted'] / 1e9:.2f} GB, measured {line['measured'] / 1e9:.2f} GB, {off:+z.0%}", flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
