"""Classified texts as tensors: one tokenisation for training, evaluation and `recipe mask`."""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from transformers import DataCollatorWithPadding

from ...schemas.base.counted import counted
from ..evaluation.classification import training_scores
from .prepared_rows import LISTED, Prepared, long_rows_fault, split_rows
from .unread import text_notes

PAD_MULTIPLE = 8


class Tokenised(NamedTuple):
    """Rows with id, input_ids, attention_mask and labels (the label's index), and the rows that are too long, with their tokens.

    A long row is in `rows` only if it was truncated.
    """

    rows: list[dict[str, Any]]
    long: dict[str, int]


def tokenise(text: str, tokenizer: Any, sequence_len: int) -> tuple[list[int], int]:
    """Return the text's first sequence_len tokens, with the special tokens that the tokenizer adds, and how many the whole text has."""
    ids = tokenizer(text)["input_ids"]
    cut = ids if len(ids) <= sequence_len else tokenizer(text, truncation=True, max_length=sequence_len)["input_ids"]
    return cut, len(ids)


def tokenise_rows(records: list[dict[str, Any]], tokenizer: Any, labels: list[str], sequence_len: int, strategy: str) -> Tokenised:
    """Tokenise classification records. `strategy` is excess_length_strategy."""
    index = {label: number for number, label in enumerate(labels)}
    rows, long = [], {}
    for record in records:
        ids, tokens = tokenise(record["text"], tokenizer, sequence_len)
        if tokens > sequence_len:
            long[record["id"]] = tokens
            if strategy != "truncate":
                continue
        rows.append({"id": record["id"], "input_ids": ids, "attention_mask": [1] * len(ids), "labels": index[record["label"]]})
    return Tokenised(rows, long)


def prepare(cfg: Any, tokenizer: Any) -> Prepared:
    """Return both splits as datasets, with rows by label and token counts."""
    from datasets import Dataset

    report, faults, found = {}, [], {}
    for split, records in split_rows(cfg).items():
        tokenised = tokenise_rows(records, tokenizer, cfg.labels, cfg.sequence_len, cfg.excess_length_strategy)
        report[split] = split_facts(tokenised, len(records), cfg.labels)
        texts = {record["id"]: record["text"] for record in records}
        rows = ((row["id"], texts[row["id"]], row["input_ids"]) for row in tokenised.rows)
        report[split] |= text_notes(tokenizer, rows, cut=tokenised.long)
        faults += split_faults(split, report[split], cfg)
        columns = [{key: row[key] for key in ("input_ids", "attention_mask", "labels")} for row in tokenised.rows]
        found[split] = Dataset.from_list(columns) if columns else None
    return Prepared(found["train"], found.get("validation"), report, [*weight_faults(cfg), *faults])


def weight_faults(cfg: Any) -> list[str]:
    """Return the fault of class weights for other labels than the data's."""
    if not isinstance(cfg.class_weights, dict) or set(cfg.class_weights) == set(cfg.labels):
        return []
    return [f"training.class_weights are for {', '.join(sorted(cfg.class_weights))}, but the labels are {', '.join(cfg.labels)}"]


def split_facts(tokenised: Tokenised, rows: int, labels: list[str]) -> dict[str, Any]:
    """Return rows by label, tokens, and the rows that are too long."""
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
    """Return what prevents the run from starting, in words."""
    if facts["long_rows"] and cfg.excess_length_strategy == "raise":
        return [long_rows_fault(split, facts["long_rows"], cfg.sequence_len)]
    if not facts["trained_rows"]:
        return [f"no {split} rows are left"]
    if len(facts["labels"]) < 2:
        return [f"every {split} row has the label {next(iter(facts['labels']), '')!r}: a classifier needs two"]
    absent = [label for label, count in facts["labels"].items() if not count]
    if split == "train" and absent:
        return [f"{counted(len(absent), 'label', 'have')} no training row and cannot be learned: {', '.join(absent[:LISTED])}"]
    return []


HEADS = ("score", "classifier")
Loss = Callable[..., torch.Tensor]


def prepare_head(cfg: Any, model: Any) -> str:
    """Set the labels in the saved configuration, and initialise the head if the base model has none for them. Say that a trained
    one is replaced, else return "".

    A head that was trained for these labels is kept, whatever their order there. transformers 5 initialises a copy of a 16-bit head in
    fp32, so that the head itself keeps uninitialised memory, which is not reproducible.
    """
    trained_before = any("SequenceClassification" in name for name in model.config.architectures or ())
    known = [name for _, name in sorted(model.config.id2label.items())]
    model.config.id2label = dict(enumerate(cfg.labels))
    model.config.label2id = {label: number for number, label in enumerate(cfg.labels)}
    model.config.problem_type = "single_label_classification"
    head = next((head for name in HEADS if isinstance(head := getattr(model, name, None), torch.nn.Module)), None)
    layers = [layer for layer in head.modules() if isinstance(layer, torch.nn.Linear)] if head is not None else []
    if not layers:
        return ""
    with torch.no_grad(), _whole(head):
        if trained_before and sorted(known) == sorted(cfg.labels):
            order = [known.index(label) for label in cfg.labels]
            for values in layers[-1].parameters():
                values.copy_(values[order])
            return ""
        deviation, generator = getattr(model.config, "initializer_range", None) or 0.02, torch.Generator().manual_seed(cfg.seed)
        for layer in layers[-1:] if trained_before else reversed(layers):
            layer.weight.copy_(torch.normal(0.0, deviation, layer.weight.shape, generator=generator))
            if layer.bias is not None:
                layer.bias.zero_()
    return f"the base model classifies {', '.join(known)}: its head begins anew for {', '.join(cfg.labels)}" if trained_before else ""


def _whole(module: Any) -> AbstractContextManager[Any]:
    """Return the context in which all weights of a module are there: under ZeRO 3 each process has a part, and what it sees is empty."""
    weights = list(module.parameters())
    if not any(hasattr(weight, "ds_id") for weight in weights):
        return nullcontext()
    from deepspeed.runtime.zero import GatheredParameters

    return GatheredParameters(weights, modifier_rank=0)


def set_padding(model: Any, tokenizer: Any) -> None:
    """Set the model's padding id, by which it finds a row's last token, to the tokenizer's."""
    model.config.get_text_config().pad_token_id = model.config.pad_token_id = tokenizer.pad_token_id


def collator(tokenizer: Any, pad_to_multiple_of: int | None) -> tuple[type, dict[str, Any]]:
    """Return the collator that pads on the right to the longest row of the batch."""
    tokenizer.padding_side = "right"
    return DataCollatorWithPadding, {"padding": True, "pad_to_multiple_of": pad_to_multiple_of}


def class_weights(wanted: Any, labels: list[str], found: list[int]) -> list[float] | None:
    """Return a weight for each label, in order. `balanced` is rows / (labels * rows of the label), with mean 1 over the rows."""
    if wanted is None:
        return None
    if wanted == "balanced":
        counts = Counter(found)
        return [len(found) / (len(labels) * counts[number]) for number in range(len(labels))]
    return [float(wanted[label]) for label in labels]


def row_loss(weights: list[float] | None) -> Loss:
    """Return the cross entropy for a trainer's `compute_loss_func`: the weighted sum over rows, divided by the rows of the whole step.

    The models' own loss is the mean of each micro-batch, which transformers does not divide by the accumulation steps.
    """
    tensor = torch.tensor(weights) if weights else None

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        logits = outputs.logits.float()
        weight = tensor.to(logits.device) if tensor is not None else None
        total = torch.nn.functional.cross_entropy(logits, labels, weight=weight, reduction="sum")
        return total / (len(labels) if num_items_in_batch is None else num_items_in_batch)

    return loss


def set_up_trainer(cfg: Any, trainer: Any) -> None:
    """Give the trainer our loss and metrics."""
    found = list(trainer.train_dataset["labels"])
    trainer.compute_loss_func = row_loss(class_weights(cfg.class_weights, cfg.labels, found))
    trainer.compute_metrics = lambda prediction: training_scores(prediction.predictions, prediction.label_ids, cfg.labels)
