"""How long rows are, in tokens of the model where its tokenizer is at hand, else estimated from bytes: what sequence_len must hold."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ...converters.reading.records import Record
from ...schemas.model_rules import EMBEDDED
from ..models.resolve import embedded_folder
from ..models.size import cached_folder

BYTES_PER_TOKEN = 3  # a careful estimate for any language and tokenizer
MARGIN = 1.25  # for rows that were not looked at
TEMPLATE = 32  # tokens of a chat template around a row: begin and end, a default system prompt
PER_MESSAGE = 8  # and around each message
STEP = 64
BLOCK = 512  # of text records: longer texts are split
_BATCH = 256


def sequence_len(records: list[Record], model: str, is_whole: bool) -> tuple[int, str]:
    """Return a multiple of 64 that holds every record, and why."""
    tokenizer = local_tokenizer(model)
    longest, around = _longest_tokens(records, tokenizer) if tokenizer else _longest_bytes(records)
    tokens = longest if tokenizer else -(-longest // BYTES_PER_TOKEN)
    needed = tokens + around if is_whole else round((tokens + around) * MARGIN)
    rounded = max(STEP, -(-needed // STEP) * STEP)
    if records and "text" in records[0].fields and "label" not in records[0].fields:
        return min(rounded, BLOCK), "the block size: longer texts are split"
    of = f"the longest of {'' if is_whole else 'the first '}{len(records):,} rows has"
    template = f", about {tokens + around:,} with the chat template" if around else ""
    if tokenizer:
        return rounded, f"{of} {tokens:,} tokens{template}"
    return rounded, f"{of} {longest:,} bytes, about {tokens:,} tokens{template}: the model's tokenizer is not at hand"


def local_tokenizer(model: str) -> Any | None:
    """Return the model's tokenizer where it is on this machine and can be read without torch; None elsewhere."""
    folder = embedded_folder() if model == EMBEDDED else Path(model) if Path(model).is_dir() else cached_folder(model)
    if folder is None or not (folder / "tokenizer.json").is_file():
        return None
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        return None
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def _longest_tokens(records: list[Record], tokenizer: Any) -> tuple[int, int]:
    """The tokens of the longest record's texts, and those of the template around them.

    Records are taken by falling bytes, until the next has fewer bytes than the longest has tokens: a token is at least a byte.
    """
    best = (0, 0)
    by_size = iter(sorted(records, key=_bytes, reverse=True))
    while batch := list(islice(by_size, _BATCH)):
        if _bytes(batch[0]) + _around(batch[0]) < sum(best):
            break
        counts = _counts(batch, tokenizer)
        best = max([best, *((count, _around(record)) for record, count in zip(batch, counts, strict=True))], key=sum)
    return best


def _counts(records: list[Record], tokenizer: Any) -> Iterator[int]:
    texts = [list(record_texts(record)) for record in records]
    encoded = iter(tokenizer.encode_batch([text for row in texts for text in row], add_special_tokens=False))
    return (sum(len(next(encoded).ids) for _ in row) for row in texts)


def _longest_bytes(records: list[Record]) -> tuple[int, int]:
    longest = max(records, key=_bytes, default=None)
    return (_bytes(longest), _around(longest)) if longest else (0, 0)


def _bytes(record: Record) -> int:
    return sum(len(text.encode()) for text in record_texts(record))


def _around(record: Record) -> int:
    messages = record.fields.get("messages")
    return TEMPLATE + PER_MESSAGE * len(messages) if messages else 0


def record_texts(record: Record) -> Iterator[str]:
    """Yield the texts of a record: a chat's contents, or its text."""
    for message in record.fields.get("messages") or [{"content": record.fields.get("text", "")}]:
        yield message["content"]
