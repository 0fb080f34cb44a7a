"""EmoGPT: conversations whose last reply was rewritten with emoji.

    {"messages": [{"role": "user", "content": "How do I install Python?"},
                  {"role": "assistant", "content": "Download it from python.org 💻, run it, tick PATH ✅."}],
     "metadata": {"tree_id": "91a9...", "turns": 1, "augmented": true, "original_tokens": 38, "augmented_tokens": 16, ...}}

Only the last assistant message is rewritten, so only it is trained; the earlier ones are ordinary prose.
`original_tokens` (cl100k_base, of the reply before the rewrite) is kept: it is the reference for the token reduction.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from ...schemas.options import Positive
from ..reading.records import Drop, Record, Row

VERSION = 2
RECORD_TYPES = ("chat",)
INPUT = "values"
STATELESS = True
SIGNATURES = ({"messages", "metadata"},)
UNUSED_KEYS = ("metadata.turns", "metadata.token_reduction", "metadata.reduction_pct")  # computed from the rest of the row

_IDENTITY = re.compile(r"\bas an ai\b|\b(an?|large) (ai )?language model\b|\bopenai\b|\bchatgpt\b|\btrained by\b", re.IGNORECASE)
_CLOSERS = "\"'”’)]}*_`"
_TERMINAL = ".!?…:。！？"
_KEPT = ("tree_id", "source", "original_tokens", "augmented_tokens")


def convert(
    rows: Iterable[Row],
    record_type: str = "chat",
    *,
    require_augmented: Annotated[bool, "Drop rows whose last reply was not rewritten."] = True,
    min_reduction_pct: Annotated[float | None, "Drop rows whose rewrite saves less than this percentage of tokens."] = None,
    require_emoji: Annotated[bool, "Drop rows whose last reply has no emoji."] = False,
    max_emoji: Annotated[Positive | None, "Drop rows whose last reply has more emoji than this (by grapheme cluster)."] = None,
    require_terminal: Annotated[bool, "Drop rows whose last reply ends in the middle of a sentence."] = False,
    reject_identity: Annotated[bool, "Drop rows whose last reply mentions being an AI model or its maker."] = False,
    keep_meta: Annotated[Iterable[str], "Keys of the row's metadata to keep in meta."] = (),
) -> Iterator[Record | Drop]:
    """Yield one chat record per row, or a drop if a filter applies."""
    kept = (*_KEPT, *keep_meta)
    for row in rows:
        value = row.value
        if not isinstance(value, dict) or not isinstance(value.get("messages"), list) or not value["messages"]:
            yield Drop(row, "no_messages", "expected an object with a list of messages")
            continue
        metadata = value.get("metadata")
        meta: dict[str, Any] = {key: metadata[key] for key in kept if key in metadata} if isinstance(metadata, dict) else {}
        if require_augmented and not (isinstance(metadata, dict) and metadata.get("augmented") is True):
            yield Drop(row, "not_augmented", "metadata.augmented is not true", filtered=True)
            continue
        messages = [_message(message) for message in value["messages"]]
        last = messages[-1].get("content") or ""
        if reason := _filtered(last, meta, min_reduction_pct, require_emoji, max_emoji, require_terminal, reject_identity):
            yield Drop(row, *reason, filtered=True)
            continue
        yield Record(row, {"messages": [*({**m, "train": False} for m in messages[:-1]), {**messages[-1], "train": True}]}, meta)


def _message(message: Any) -> dict[str, Any]:
    return {key: message.get(key) for key in ("role", "content")} if isinstance(message, dict) else {"content": message}


def _filtered(
    reply: Any, meta: dict[str, Any], reduction: float | None, emoji: bool, most: int | None, terminal: bool, identity: bool
) -> tuple[str, str] | None:
    if not isinstance(reply, str):
        return None
    if reduction is not None and (saved := reduction_pct(meta)) is not None and saved < reduction:
        return "low_reduction", f"{saved:.1f} % saved, at least {reduction} required"
    if emoji or most is not None:
        count = emoji_count(reply)
        if emoji and not count:
            return "no_emoji", ""
        if most is not None and count > most:
            return "too_many_emoji", f"{count}, at most {most} allowed"
    if terminal and not is_terminated(reply):
        return "unterminated", f"ends with {reply[-20:]!r}"
    if identity and (found := _IDENTITY.search(reply)):
        return "identity_text", f"says {found.group()!r}"
    return None


def reduction_pct(meta: dict[str, Any]) -> float | None:
    """Return the percentage of tokens that the rewrite saves; None if the row does not say."""
    original, augmented = meta.get("original_tokens"), meta.get("augmented_tokens")
    if not isinstance(original, int) or not isinstance(augmented, int) or original <= 0:
        return None
    return (original - augmented) / original * 100


def emoji_count(text: str) -> int:
    """Count emoji by grapheme cluster: a family or a flag is one. A sign that is text by default (™, ©, ↔) does not count by itself."""
    return len(emoji_found(text))


def emoji_found(text: str) -> list[Any]:
    """Return match_start, match_end and emoji of each emoji."""
    import emoji

    unqualified = emoji.STATUS["unqualified"]
    # A single code point that Unicode calls unqualified is shown as text unless a variation selector follows it.
    return [
        match for match in emoji.emoji_list(text) if len(match["emoji"]) > 1 or emoji.EMOJI_DATA[match["emoji"]]["status"] != unqualified
    ]


def is_terminated(text: str) -> bool:
    """Return whether the text ends like a finished sentence: punctuation, a closing mark, a code fence or an emoji."""
    end = text.rstrip().rstrip(_CLOSERS)
    found = emoji_found(end[-16:])
    return not end or end[-1] in _TERMINAL or bool(found) and found[-1]["match_end"] == len(end[-16:])
