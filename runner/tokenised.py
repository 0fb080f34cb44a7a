"""Rows as the trainer sees them, through Axolotl's own tokenisation, for evaluation and `recipe mask`.

python -m recipekit.runner.tokenised ROWS.jsonl OUT.jsonl (in the run directory): a line of id, input_ids and labels for each row.
"""

import json
import sys
from pathlib import Path
from typing import Any

from .plan import CONFIG

IGNORED = -100


def tokenise(cfg: Any, tokenizer: Any, path: Path) -> list[dict[str, Any]]:
    """Each row's id, input_ids and labels. `cfg` is Axolotl's configuration, whose data set is replaced by the file at `path`."""
    from axolotl.common.datasets import load_datasets
    from axolotl.utils.dict import DictDefault

    dataset = {**dict(cfg.datasets[0]), "path": str(path)}
    changed = {"datasets": [DictDefault(dataset)], "test_datasets": None, "dataset_prepared_path": None, "sample_packing": False}
    found = load_datasets(cfg=DictDefault({**dict(cfg), **changed})).train_dataset
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    kept = [row for row in rows if row["id"] not in long_rows(cfg, tokenizer, rows)] if len(found) != len(rows) else rows
    return [
        {"id": row["id"], "input_ids": list(tensors["input_ids"]), "labels": list(tensors["labels"])}
        for row, tensors in zip(kept, found, strict=True)
    ]


def long_rows(cfg: Any, tokenizer: Any, rows: list[dict[str, Any]]) -> dict[str, int]:
    """The ids of the rows that are longer than sequence_len, with their length in tokens."""
    found = {}
    for row in rows:
        if "messages" in row:
            messages = [{key: message[key] for key in ("role", "content")} for message in row["messages"]]
            length = len(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"])
        else:
            length = len(tokenizer(row["text"])["input_ids"])
        if length > cfg.sequence_len:
            found[row["id"]] = length
    return found


def last_span(labels: list[int]) -> int:
    """Where the last trained span starts: everything before it is the prompt of the reply."""
    end = max(index for index, label in enumerate(labels) if label != IGNORED)
    while end > 0 and labels[end - 1] != IGNORED:
        end -= 1
    return end


def end_ids(cfg: Any, tokenizer: Any) -> set[int]:
    """The ids of the tokens that end a turn."""
    tokens = list(cfg.eot_tokens or []) or [tokenizer.eos_token]
    return {tokenizer.convert_tokens_to_ids(token) for token in tokens}


def load(config: str = CONFIG) -> tuple[Any, Any]:
    """Axolotl's configuration and tokenizer for a rendered file."""
    from axolotl.cli.config import load_cfg
    from axolotl.loaders import load_tokenizer

    cfg = load_cfg(config)
    return cfg, load_tokenizer(cfg)


def main(rows: str, out: str) -> None:
    """Tokenise a file, adding the text of every token for people."""
    cfg, tokenizer = load()
    with Path(out).open("w", encoding="utf-8") as stream:
        for row in tokenise(cfg, tokenizer, Path(rows)):
            texts = [tokenizer.decode([token], clean_up_tokenization_spaces=False) for token in row["input_ids"]]
            stream.write(json.dumps({**row, "texts": texts}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
