"""Refuse rows that are data of another kind: preferences, trees of messages, a whole account."""

import json
import re
from typing import Any

from ...schemas.base.errors import Problem, UserError
from .candidates import ROLES
from .columns import NUMBERED, folded
from .jq import command, step

_BETTER = ("winner", "winners", "preference", "preferred", "better", "best", "verdict", "vote")
_PREFERRED, _REJECTED = ("chosen", "preferred", "accepted"), ("rejected", "dispreferred", "unpreferred", "non")


def refuse_other_data(rows: list[dict[str, Any]], path: str) -> None:
    """Raise UserError for preference data, whose rejected replies would be trained too, for trees of messages, and for the export of a
    whole Telegram account."""
    if any(_are_compared(row) for row in rows):
        what, hint = "is preference data (two replies, and which is better)", "write the better reply of each row as its answer"
    elif any(_has_word(row, *_PREFERRED) and _has_word(row, *_REJECTED) for row in rows):
        what, hint = "is preference data (chosen and rejected)", "use the column of the preferred reply as the answer"
    elif any({"prompt", "completion", "label"} <= set(row) and isinstance(row["label"], bool) for row in rows):
        what, hint = "is preference data (a completion and whether it is good)", "keep the rows whose label is true, without the label"
    elif any(isinstance(chats := row.get("chats"), dict) and isinstance(chats.get("list"), list) for row in rows):
        hint = "export a single chat (Export chat history), or take one from the file, here the first: jq '.chats.list[0]' FILE > chat.json"
        raise UserError(Problem(path, "holds all chats of a Telegram account", hint, "unknown-data"))
    elif key := next((key for row in rows if (key := _branches(row))), ""):
        path, has = f".{step(key)}", f"has({json.dumps(key)})"
        filter_ = f".. | objects | select({has}) | ., ({path}[]? | objects | select({has} | not)) | del({path})"
        hint = f"write each object of the tree as a row, without those below it: {command(filter_, 'FILE', 'rows.jsonl')}"
        raise UserError(Problem(path, f"holds trees: {key!r} of an object has objects with {key!r} of their own", hint, "unknown-data"))
    else:
        return
    raise UserError(Problem(path, what, f"recipes support supervised fine-tuning: {hint}", "unknown-data"))


def _are_compared(row: dict[str, Any]) -> bool:
    """Return whether the row has two replies, a and b, and which is better: `response_a`, `response_b`, `winner`, or a score of each."""
    stems = [found[1] for key in row if (found := NUMBERED.fullmatch(folded(key)))]
    pairs = {stem for stem in stems if stems.count(stem) == 2}
    return bool(pairs) and (_has_word(row, *_BETTER) or "score" in pairs)


def _has_word(row: dict[str, Any], *names: str) -> bool:
    """Return whether one of the row's keys has one of the words: `response_rejected`."""
    return any(not {*names}.isdisjoint(re.split(r"[^a-z]+", key.lower())) for key in row)


def _branches(row: dict[str, Any]) -> str:
    """Return the key under which messages of a tree, as in OASST, have those that answer them; "" if the row is no tree, or one without
    speakers, such as a parsed sentence."""
    for value in (row, *(value for value in row.values() if isinstance(value, dict))):
        for key, items in value.items():
            answers = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
            if any(isinstance(answer.get(key), list) and not {*answer}.isdisjoint(ROLES) for answer in answers):
                return key
    return ""
