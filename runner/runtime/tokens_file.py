"""The type of tokens.json: what the trainer gets of each split."""

from collections.abc import Mapping
from typing import Any, TypedDict


class Lost(TypedDict):
    """What a chat template leaves out of messages: how often, and examples by row."""

    count: int
    rows: dict[str, list[str]]


class SplitTokens(TypedDict, total=False):
    """A split's rows and tokens. Chats and texts have trained and masked tokens, classifications have rows by label."""

    rows: int
    trained_rows: int
    tokens: int
    trained: int
    masked: int
    longest: int
    labels: dict[str, int]
    blocks: int
    fill: float
    split_documents: int
    long_rows: dict[str, Any]
    injected_token_rows: dict[str, str]
    untrained_rows: list[str]
    rows_without_eos: list[str]
    losses: dict[str, Lost]
    unknown_words: dict[str, list[str]]
    misread_rows: dict[str, str]


_OF_LABELS = ("trained_rows", "tokens", "longest")
_OF_TOKENS = ("trained", "masked", "longest", "untrained_rows")
_PACKED = ("rows", "trained_rows", "fill")


def tokens_fault(splits: Mapping[str, SplitTokens]) -> str:
    """Return which count a split lacks; empty if it has those of its record type. A split that was refused has only its rows."""
    for split, facts in splits.items():
        wanted = _OF_LABELS if "labels" in facts else _OF_TOKENS
        wanted += _PACKED if {"blocks", "split_documents"} & facts.keys() else ()
        if missing := [key for key in wanted if key not in facts]:
            return f"{split} has no {missing[0]!r}"
    return ""
