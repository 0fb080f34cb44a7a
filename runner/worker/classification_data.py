"""Classified texts as tensors: one tokenisation for training, evaluation and `recipe mask`."""

from collections import Counter
from typing import Any, NamedTuple

from .prepared_rows import LISTED, Prepared, long_rows_fault, split_rows

PAD_MULTIPLE = 8


class Tokenised(NamedTuple):
    """Rows of id, input_ids, attention_mask and labels (the label's index), and the rows that are too long with their tokens.

    A long row is among `rows` only where it was truncated.
    """

    rows: list[dict[str, Any]]
    long: dict[str, int]


def tokenise_rows(records: list[dict[str, Any]], tokenizer: Any, labels: list[str], sequence_len: int, strategy: str) -> Tokenised:
    """Tokenise classification records with the special tokens that the tokenizer adds itself. `strategy` is excess_length_strategy."""
    index = {label: number for number, label in enumerate(labels)}
    rows, long = [], {}
    for record in records:
        ids = tokenizer(record["text"])["input_ids"]
        if len(ids) > sequence_len:
            long[record["id"]] = len(ids)
            if strategy != "truncate":
                continue
            ids = tokenizer(record["text"], truncation=True, max_length=sequence_len)["input_ids"]
        rows.append({"id": record["id"], "input_ids": ids, "attention_mask": [1] * len(ids), "labels": index[record["label"]]})
    return Tokenised(rows, long)


def prepare(cfg: Any, tokenizer: Any) -> Prepared:
    """Both splits as data sets, with rows by label and tokens counted."""
    from datasets import Dataset

    report, faults, found = {}, [], {}
    for split, records in split_rows(cfg).items():
        tokenised = tokenise_rows(records, tokenizer, cfg.labels, cfg.sequence_len, cfg.excess_length_strategy)
        report[split] = split_facts(tokenised, len(records), cfg.labels)
        faults += split_faults(split, report[split], cfg)
        columns = [{key: row[key] for key in ("input_ids", "attention_mask", "labels")} for row in tokenised.rows]
        found[split] = Dataset.from_list(columns) if columns else None
    return Prepared(found["train"], found.get("validation"), report, [*weight_faults(cfg), *faults])


def weight_faults(cfg: Any) -> list[str]:
    """Class weights for other labels than the data's."""
    if not isinstance(cfg.class_weights, dict) or set(cfg.class_weights) == set(cfg.labels):
        return []
    return [f"training.class_weights are for {', '.join(sorted(cfg.class_weights))}, but the labels are {', '.join(cfg.labels)}"]


def split_facts(tokenised: Tokenised, rows: int, labels: list[str]) -> dict[str, Any]:
    """Rows by label, tokens, and the rows that are too long."""
    counts = Counter(row["labels"] for row in tokenised.rows)
    lengths = [len(row["input_ids"]) for row in tokenised.rows]
    return {
        "rows": rows,
        "trained_rows": len(lengths),
        "labels": {label: counts[number] for number, label in enumerate(labels)},
        "tokens": sum(lengths),
        "longest": max(lengths, default=0),
        "long_rows": tokenised.long,
    }


def split_faults(split: str, facts: dict[str, Any], cfg: Any) -> list[str]:
    """What a run must not start with, in words."""
    if facts["long_rows"] and cfg.excess_length_strategy == "raise":
        return [long_rows_fault(split, facts["long_rows"], cfg.sequence_len)]
    if not facts["trained_rows"]:
        return [f"no {split} row is left"]
    absent = [label for label, count in facts["labels"].items() if not count]
    if split == "train" and absent:
        return [f"{len(absent)} labels have no training row and cannot be learnt: {', '.join(absent[:LISTED])}"]
    return []
