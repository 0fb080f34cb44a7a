"""Measure row lengths: in tokens if the model's tokenizer is available, else estimated from bytes. sequence_len and memory depend on it.

torch is not loaded. Before a training, the longest rows are rendered with the chat template; elsewhere the template is a fixed allowance,
and the total is called an estimate.
"""

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ...schemas.model_rules import EMBEDDED
from ...schemas.sections import Recipe
from ..launch.kernel_choice import choose, packs
from ..models.architecture import Architecture
from ..models.known_config import local_folder
from ..models.resolve import embedded_folder
from ..models.template_rows import rendered_rows
from ..runtime.machine import Machine
from .forward_pass import ForwardPass, largest_forward_pass

BYTES_PER_TOKEN = 3  # a conservative estimate for any language and tokenizer
TEMPLATE = 32  # tokens that a chat template adds per row: begin and end, a default system prompt
PER_MESSAGE = 8  # tokens that it adds per message
LONGEST = 2000  # rows of a file that are tokenised: those with the most bytes
RENDERED = 32  # rows that are rendered with the chat template: those with the most tokens
_BATCH = 256


class Length(NamedTuple):
    """The longest row: its bytes, the tokens of its texts, and the total with the template; `exact` says that tokens were counted."""

    bytes: int
    tokens: int
    total: int
    exact: bool


def local_tokenizer(model: str, revision: str | None = None) -> Any | None:
    """Return the model's tokenizer if it is on this machine and can be read without torch, else None."""
    folder = embedded_folder() if model == EMBEDDED else local_folder(model, revision)
    if folder is None or not (folder / "tokenizer.json").is_file():
        return None
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        return None
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def longest(rows: Iterable[dict[str, Any]], tokenizer: Any | None) -> Length:
    """Return the length of the longest row, given as messages or text.

    Rows are taken by decreasing bytes, until the next has fewer bytes than the longest has tokens: a token has at least one byte.
    """
    best = Length(0, 0, 0, tokenizer is not None)
    falling = iter(sorted(rows, key=_bytes, reverse=True))
    while batch := list(islice(falling, _BATCH)):
        if _bytes(batch[0]) + _around(batch[0]) < best.total:
            break
        counts = _counts(batch, tokenizer) if tokenizer else (-(-_bytes(row) // BYTES_PER_TOKEN) for row in batch)
        lengths = [Length(_bytes(row), count, count + _around(row), best.exact) for row, count in zip(batch, counts, strict=True)]
        best = max([best, *lengths], key=lambda length: length.total)
    return best


def forward_pass_of(recipe: Recipe, machine: Machine, records: Path | None, model: str, known: Architecture | None) -> ForwardPass:
    """Return the largest forward pass over a file of records, or without one over rows of `sequence_len` tokens."""
    varlen = choose(recipe, machine, known).varlen
    return largest_forward_pass(recipe, lengths_of(recipe, records, model, varlen), varlen)


def lengths_of(recipe: Recipe, records: Path | None, model: str, varlen: bool) -> list[int] | None:
    """Return the lengths that memory depends on: with padding only the longest, in full blocks none."""
    return row_tokens(recipe, records, model, every=varlen) if records and not packs(recipe) else None


def row_tokens(recipe: Recipe, rows: Path, model: str, every: bool) -> list[int]:
    """Return the tokens of the longest row of a file of records, and with `every` those of the others, estimated from their bytes."""
    with rows.open("rb") as stream:
        found = [orjson.loads(line) for line in heapq.nlargest(LONGEST, stream, key=len)]
    tokenizer = local_tokenizer(model, recipe.model.revision)
    resolved = recipe._replace(model=recipe.model._replace(base_model=model))
    tokens = _as_trained(resolved, found, tokenizer) or longest(found, tokenizer).total
    if not every:
        return [tokens]
    counted = sum(_counts(found, tokenizer)) if tokenizer else sum(map(_bytes, found)) / BYTES_PER_TOKEN
    per_byte = counted / max(sum(map(_bytes, found)), 1)
    with rows.open("rb") as stream:
        others = sorted((math.ceil(_bytes(row) * per_byte) + _around(row) for row in map(orjson.loads, stream)), reverse=True)[1:]
    return [tokens, *(min(tokens, count) for count in others)]


def _as_trained(recipe: Recipe, rows: list[dict[str, Any]], tokenizer: Any | None) -> int | None:
    """Return the tokens of the longest chat with its template; None if the template or the tokenizer is unavailable."""
    if recipe.data.type != "chat" or tokenizer is None or not rows:
        return None
    counts = zip(_counts(rows, tokenizer), rows, strict=True)
    fullest = heapq.nlargest(RENDERED, counts, key=lambda pair: pair[0] + _around(pair[1]))
    texts = rendered_rows(recipe, [row for _, row in fullest])
    return max((len(text.ids) for text in tokenizer.encode_batch(texts, add_special_tokens=False)), default=None)


def long_rows(recipe: Recipe, rows: Sequence[dict[str, Any]], tokenizer: Any) -> dict[int, int]:
    """Return the tokens of chats or labelled texts that are longer than sequence_len, by their number, as a training counts them: of the
    LONGEST rows with the most bytes. Without a chat template on this machine, or where it refuses a chat, none is found."""
    numbers = heapq.nlargest(LONGEST, range(len(rows)), key=lambda number: _bytes(rows[number]))
    chosen, is_chat = [rows[number] for number in numbers], recipe.data.type == "chat"
    texts = rendered_rows(recipe, chosen) if is_chat else [row["text"] for row in chosen]
    tokens = (len(text.ids) for text in tokenizer.encode_batch(texts, add_special_tokens=not is_chat))
    counts = dict(zip(numbers, tokens, strict=False))  # no text where the template is not available
    return {number: counts[number] for number in sorted(counts) if counts[number] > recipe.training.sequence_len}


def _counts(rows: list[dict[str, Any]], tokenizer: Any) -> Iterator[int]:
    texts = [list(_texts(row)) for row in rows]
    encoded = iter(tokenizer.encode_batch([text for row in texts for text in row], add_special_tokens=False))
    return (sum(len(next(encoded).ids) for _ in row) for row in texts)


def _bytes(row: dict[str, Any]) -> int:
    return sum(len(text.encode()) for text in _texts(row))


def _around(row: dict[str, Any]) -> int:
    messages = row.get("messages")
    return TEMPLATE + PER_MESSAGE * len(messages) if messages else 0


def _texts(row: dict[str, Any]) -> Iterator[str]:
    for message in row.get("messages") or [{"content": row.get("text", "")}]:
        yield message["content"]
