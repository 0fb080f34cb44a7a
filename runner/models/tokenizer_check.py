"""Check in a separate process whether what a tokenizer.json does to texts stays within limits of time and memory.

python -m recipekit.runner.models.tokenizer_check: reads the parts of a tokenizer.json from standard input, and prints what is wrong with
them. A pattern that backtracks without end, or a table that leads out of itself, ends the Rust library in a panic; a replacement of each
letter by a thousand takes all memory.
"""

import json
import re
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from ...schemas.base.errors import first_line
from .config_file import MAX_WORDS
from .template_check import MAX_MEMORY, SECONDS, in_child, limit_this_process

MAX_ADDED = 100_000  # the library takes a minute for four times as many
MAX_BYTES = 64 << 20  # the largest vocabularies take half of it
PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
_TEXT = "The cat sat on 2 mats, didn't it?\n\n  Ja – in Köln, 猫は12,5 €. "
_WITHOUT_WORDS = {"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}


def tokenizer_fault(path: Path) -> str:
    """Return why the tokenizer.json cannot be used, or "" if it can, or if the library for it is not installed."""
    if (size := path.stat().st_size) > MAX_BYTES:
        return f"has {size:,} bytes; a tokenizer may have at most {MAX_BYTES:,}"
    try:
        values = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        return f"is not JSON: {error}"
    if not isinstance(values, dict):
        return "is not a JSON object"
    if fault := _count_fault(values):
        return fault
    model = values.get("model")
    if isinstance(model, dict) and (dropout := model.get("dropout")):
        return f"leaves out merges at random (dropout: {str(dropout)[:20]}): a text would have other tokens each time; set it to null"
    given = {name: values[name] for name in PARTS if values.get(name)}
    return _fault(orjson.dumps(given)) if given else ""


def _count_fault(values: dict[str, Any]) -> str:
    """Return which tokens are more than any model has, "" if none are: the library keeps a place for each number up to the largest."""
    model, added = values.get("model"), values.get("added_tokens")
    words = model.get("vocab") if isinstance(model, dict) else None
    ids = [*words.values()] if isinstance(words, dict) else []
    if isinstance(added, list):
        if len(added) > MAX_ADDED:
            return f"adds {len(added):,} tokens to its words; at most {MAX_ADDED:,} are read"
        ids += [token.get("id") for token in added if isinstance(token, dict)]
    far = next((number for number in ids if isinstance(number, int) and number >= MAX_WORDS), None)
    return "" if far is None else f"has a token with the number {far:,}; the largest may be {MAX_WORDS - 1:,}"


@cache
def _fault(given: bytes) -> str:
    done = in_child("recipekit.runner.models.tokenizer_check", given)
    if done is None or done.returncode == -signal.SIGXCPU:
        return f"takes more than {SECONDS} seconds for a short text"
    if done.returncode < 0:
        return f"needs more than {MAX_MEMORY >> 30} GB of memory for a short text, or crashes the process that uses it"
    return done.stdout.decode("utf-8", "replace").strip()


def main() -> None:
    """Print the fault of the parts on standard input, if any."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return
    given = json.loads(sys.stdin.buffer.read())
    limit_this_process()
    try:
        tokenizer = Tokenizer.from_str(json.dumps(_WITHOUT_WORDS | given))
        for text in _texts(given):
            tokenizer.decode(tokenizer.encode(text).ids)
    except BaseException as error:  # a panic of the library is no Exception
        print(f"cannot be used: {first_line(error)[:200]}")


def _texts(given: Any) -> Iterator[str]:
    """Yield ordinary text, and long runs of each character that the parts name and of common ones: where patterns backtrack."""
    yield _TEXT * 20
    named = set(re.sub(r"\\.", "", json.dumps(given, ensure_ascii=False)))
    for character in sorted(named | set("ax1 .-\n")):
        yield character * 500 + "!"


if __name__ == "__main__":
    main()
