"""The text of a recipe for data files: what was recognised, with a comment that says why for every choice."""

import math
import os
from collections import Counter
from pathlib import Path
from typing import Any

from ...converters.reading.records import Record
from ...schemas.yaml_writing import one_line
from .recognise import Recognised

METRICS = {
    "chat": ["perplexity", "stop_rate", "reply_tokens"],
    "classification": ["accuracy", "macro_f1"],
    "text": ["perplexity", "token_accuracy"],
}
BYTES_PER_TOKEN = 3  # a careful estimate for any language and tokenizer
MARGIN = 1.25  # for rows beyond the sample
TEMPLATE = 64  # tokens of a chat template
FEW_ROWS = 200

_TEXT = """\
model:
  base_model: embedded:smollm2-135m-instruct # small, no download: to try the recipe; then a Hugging Face name, or a folder

data:
  type: {type} # {why}
  sources:
{sources}
  split:
    validation: {validation} # {split_why}
{stratify}
training:
  adapter: {adapter}
  learning_rate: {learning_rate}
  sequence_len: {sequence_len} # {length_why}
  num_epochs: {epochs} # {epochs_why}
  micro_batch_size: 4
  gradient_accumulation_steps: {accumulation}
  warmup_ratio: 0.1

evaluation:
  metrics: {metrics} # `recipe explain NAME evaluation.metrics` lists the others
"""


def recipe_for(found: Recognised, paths: list[str], folder: Path, declared: dict[str, Any] | None = None) -> str:
    """Write the sections of a recipe in `folder` that reads the paths; `declared` are further keys of the sources."""
    choice, rows = found.choice, len(found.records)
    sources = [_source(path, choice.converter, choice.options, folder, declared or {}) for path in paths]
    length, length_why = _sequence_len(found.records)
    labels = Counter(record.fields["label"] for record in found.records if "label" in record.fields)
    stratified = len(labels) > 1 and min(labels.values()) > 1
    few = rows < FEW_ROWS
    return _TEXT.format(
        type=choice.record_type, why=choice.why, sources="\n".join(sources),
        validation=0.2 if few else 0.1, split_why="few rows: hold out more of them" if few else "a tenth of the rows",
        stratify=f"    stratify_by: label # the same shares of the {len(labels)} labels in both splits\n" if stratified else "",
        adapter="none # every weight: it learns the texts themselves" if choice.record_type == "text" else "qlora # the least memory",
        learning_rate="5e-5" if choice.record_type == "text" else "2e-4", sequence_len=length, length_why=length_why,
        epochs=3 if rows < 5000 else 1, epochs_why="watch the validation loss: it rises when this is too many",
        accumulation=1 if few else 4, metrics=one_line(METRICS[choice.record_type]),
    )  # fmt: skip


def _source(path: str, name: str, options: dict[str, Any], folder: Path, declared: dict[str, Any]) -> str:
    relative = os.path.relpath(path, folder.resolve())
    lines = [f"    - path: {one_line(relative)} # relative to this file", f"      converter: {name} # `recipe show --converter {name}`"]
    more = {**declared, **({"options": options} if options else {})}
    return "\n".join(lines + [f"      {key}: {one_line(value)}" for key, value in more.items()])


def _sequence_len(records: list[Record]) -> tuple[int, str]:
    """A multiple of 64 that is longer than every sampled record; text records are split into blocks of at most 512."""
    longest = max((sum(map(len, _texts(record))) for record in records), default=0)
    tokens = math.ceil(longest / BYTES_PER_TOKEN * MARGIN) + TEMPLATE
    rounded = max(64, -(-tokens // 64) * 64)
    why = f"the longest of {len(records):,} sampled rows has {longest:,} bytes, about {math.ceil(longest / BYTES_PER_TOKEN):,} tokens"
    if records and "messages" not in records[0].fields and "label" not in records[0].fields:
        return min(rounded, 512), "the block size: longer texts are split"
    return rounded, why


def _texts(record: Record) -> list[bytes]:
    messages = record.fields.get("messages") or [{"content": record.fields.get("text", "")}]
    return [message["content"].encode() for message in messages]
