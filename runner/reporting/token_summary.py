"""Describe tokens.json in words, for the terminal and the report."""

from collections.abc import Mapping
from typing import Any

from ...schemas.base.counted import counted

WORDS_SHOWN = 5
ACCEPTABLE = {"whitespace": "white space at the ends", "reasoning": "reasoning"}  # what a recipe may allow a chat template to leave out


def token_summary(facts: Mapping[str, Any]) -> str:
    """Describe a split's tokens in one line, depending on the record type."""
    long = f"; {counted(len(facts['long_rows']), 'row')} longer than sequence_len" if facts.get("long_rows") else ""
    misread = _misread(facts.get("misread_rows") or {})
    unread = _unknown_words(facts.get("unknown_words") or {}) + _control_tokens(facts.get("injected_token_rows") or {}) + misread
    if "labels" in facts:
        by_label = ", ".join(f"{count:,} {label}" for label, count in facts["labels"].items())
        rows = counted(facts["trained_rows"], "row")
        return f"{rows} ({by_label}) of {facts['tokens']:,} tokens; the longest has {facts['longest']:,}{long}{unread}"
    losses = {name: len(group["rows"]) for name, group in facts.get("losses", {}).items() if name.split()[0] in ACCEPTABLE}
    left_out = "".join(f"; {left_out_line(name)} in {counted(count, 'row')}" for name, count in losses.items())
    trained = f"{counted(facts['trained'], 'token')} trained and {facts['masked']:,} masked"
    if "split_documents" in facts:
        blocks = f"{counted(facts['rows'], 'text')} in {counted(facts['trained_rows'], 'block')}, {facts['fill']:.0%} full"
        split = f"{counted(facts['split_documents'], 'text')} split over blocks, none cut"
        return f"{trained} (the first of each part); {blocks}, {split}{unread}"
    if "blocks" in facts:
        trained += f"; {counted(facts['trained_rows'], 'row')} in {counted(facts['blocks'], 'block')}, {facts['fill']:.0%} full"
    untrained = counted(len(facts["untrained_rows"]), "row")
    return f"{trained}; longest row {facts['longest']:,}; {untrained} without a trained token{long}{left_out}{misread}"


def _unknown_words(rows: Mapping[str, list[str]]) -> str:
    if not rows:
        return ""
    words = ", ".join(map(repr, list(dict.fromkeys(word for found in rows.values() for word in found))[:WORDS_SHOWN]))
    return f"; {counted(len(rows), 'row')} with words that the tokenizer has no token for: {words}"


def _control_tokens(rows: Mapping[str, str]) -> str:
    if not rows:
        return ""
    tokens = ", ".join(map(repr, list(dict.fromkeys(rows.values()))[:WORDS_SHOWN]))
    return f"; {counted(len(rows), 'row')} with control tokens of the model within the text: {tokens}"


def _misread(rows: Mapping[str, str]) -> str:
    if not rows:
        return ""
    changes = ", ".join(list(dict.fromkeys(rows.values()))[:WORDS_SHOWN])
    return f"; {counted(len(rows), 'row')} with words that the tokenizer changes: {changes}"


def left_out_line(name: str) -> str:
    """Describe what a chat template leaves out of messages, from its name in tokens.json: its kind and the role."""
    kind, _, role = name.partition(" ")
    return f"the chat template leaves out {ACCEPTABLE[kind]} of {role} messages"
