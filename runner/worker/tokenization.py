"""Rows as the trainer sees them, through Axolotl's own tokenisation, for evaluation and `recipe mask`.

python -m recipekit.runner.worker.tokenization ROWS.jsonl OUT.jsonl (in the run directory): a line of id, input_ids and labels for each row.
"""

import json
import sys
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..launch.plan import CONFIG
from ..runtime.progress import Progress
from . import axolotl_patches

IGNORED = -100


def tokenise(cfg: Any, tokenizer: Any, path: Path) -> list[dict[str, Any]]:
    """Each row's id, input_ids and labels. `cfg` is Axolotl's configuration, whose data set is replaced by the file at `path`."""
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    if cfg.record_type == "text":
        return [_document(row, tokenizer) for row in rows]
    if cfg.record_type == "classification":
        return [_classified(row, cfg, tokenizer) for row in rows]
    from axolotl.utils.dict import DictDefault

    dataset = {**dict(cfg.datasets[0]), "path": str(path)}
    # A folder of its own: Axolotl finds prepared rows by the file's path, and would take those of another file that once lay there.
    with TemporaryDirectory() as prepared:
        changed = {"datasets": [DictDefault(dataset)], "test_datasets": None, "dataset_prepared_path": prepared, "sample_packing": False}
        found = axolotl_patches.load(DictDefault({**dict(cfg), **changed})).train_dataset
        kept = [row for row in rows if row["id"] not in long_rows(cfg, tokenizer, rows)] if len(found) != len(rows) else rows
        return [
            {"id": row["id"], "input_ids": list(tensors["input_ids"]), "labels": list(tensors["labels"])}
            for row, tensors in zip(kept, found, strict=True)
        ]


def _document(row: dict[str, Any], tokenizer: Any) -> dict[str, Any]:
    """A text as one row, however many blocks it is split over: everything is trained but its first token."""
    from .packing import document_ids

    ids = document_ids(row["text"], tokenizer)
    return {"id": row["id"], "input_ids": ids, "labels": [IGNORED, *ids[1:]]}


def _classified(row: dict[str, Any], cfg: Any, tokenizer: Any) -> dict[str, Any]:
    """A classified text: what is trained is not a token but the label."""
    from .classification import tokenise_rows

    found = tokenise_rows([row], tokenizer, cfg.labels, cfg.sequence_len, "truncate").rows[0]
    return {"id": row["id"], "input_ids": found["input_ids"], "labels": [IGNORED] * len(found["input_ids"]), "label": row["label"]}


def long_rows(cfg: Any, tokenizer: Any, rows: list[dict[str, Any]]) -> dict[str, int]:
    """The ids of the chats that are longer than sequence_len, with their length in tokens."""
    found = {}
    for row in rows:
        messages = [{key: message[key] for key in ("role", "content")} for message in row["messages"]]
        length = len(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"])
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


def segments(row: dict[str, Any], tokenizer: Any) -> list[dict[str, Any]]:
    """The row's text in runs of trained and masked tokens. Decoded a run at a time, since an emoji is several tokens."""
    pairs = zip(row["input_ids"], row["labels"], strict=True)
    runs = [(trained, [token for token, _ in run]) for trained, run in groupby(pairs, key=lambda pair: pair[1] != IGNORED)]
    return [{"trained": trained, "text": tokenizer.decode(ids, clean_up_tokenization_spaces=False)} for trained, ids in runs]


def main(rows: str, out: str) -> None:
    """Tokenise a file, adding what is trained as text for people. Rows that the trainer would refuse for their length are refused."""
    cfg, tokenizer = load()
    if cfg.record_type not in ("text", "classification") and cfg.excess_length_strategy == "raise":
        from .prepared_rows import long_rows_fault

        if long := long_rows(cfg, tokenizer, [json.loads(line) for line in Path(rows).read_bytes().splitlines()]):
            Progress(Path("progress.jsonl")).event("refused", what=long_rows_fault("chosen", long, cfg.sequence_len))
            raise SystemExit(1)
    with Path(out).open("w", encoding="utf-8") as stream:
        for row in tokenise(cfg, tokenizer, Path(rows)):
            stream.write(json.dumps({**row, "segments": segments(row, tokenizer)}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
