"""Find out which speaker of a chat is the user and which the assistant, if their names are not those of known roles."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ...converters.building.key_meanings import MEANINGS
from ...converters.building.row_shapes import MAX_DEPTH
from ...converters.sources.messages import ROLES as MESSAGES_ROLES
from ...converters.sources.sharegpt import ROLES
from ...converters.sources.verdicts import VERDICTS, is_verdict

KNOWN = (*MESSAGES_ROLES, *ROLES)
SYNONYMS = {**ROLES, "developer": "system", "ai": "assistant", "bot": "assistant"}
SYNONYMS |= {"owner": "user", "audience": "assistant"}  # who asks and who answers in EFAQA, where either may begin
SYNONYMS |= {"true": "user", "false": "assistant"}  # of `is_human`
# Of two people whose names are not those of roles, who helps is the assistant, whoever speaks first.
_SIDES = {**dict.fromkeys(("client", "patient", "customer", "seeker", "visitor", "caller"), 0),
          **dict.fromkeys(("therapist", "counselor", "counsellor", "doctor", "supporter", "agent", "operator"), 2)}  # fmt: skip
_NEITHER = 1
OF_TRAINING = ("tool_call_id", "function", "refusal", "attachments", "files", "image_url", "mask", "masked", "train_detail", "loss_weight")
TEXTS = ("text", "content", "value", "message", "thinking", "reasoning", "arguments", "input")  # keys of a text within a value
WORDS = 4  # with more, a value is text
FIRST = 0.9  # share of the chats that must begin with the same speaker


def chat_roles(chats: Iterable[list[Any]], share_gpt: bool = False) -> tuple[dict[str, str] | None, str]:
    """Return what the converter's option `roles` must be, and the reason; None and "" if every role is known or none can be chosen.

    `chats` are the speakers' names of each chat, in order. Of two unknown names, the one that speaks first is the user, unless they say who
    helps.
    """
    spoken = [[str(name) for name in chat if isinstance(name, str | int)] for chat in chats]
    written = {name.lower(): name for chat in reversed(spoken) for name in reversed(chat)}  # as first written; case is ignored
    known = ROLES if share_gpt else MESSAGES_ROLES
    unknown = [low for low in reversed(written) if low not in known]
    roles = {low: SYNONYMS[low] for low in unknown if low in SYNONYMS}
    if {*written} == {"user", "system"} and all(chat[0].lower() == "user" for chat in spoken if chat):
        roles["system"] = "assistant"  # of a dialogue system, as in MultiWOZ
    taken = {SYNONYMS.get(low) for low in written}
    unclear, free = [low for low in unknown if low not in roles], [role for role in ("user", "assistant") if role not in taken]
    if len(unclear) > len(free):
        unclear = []  # the rows will be refused, with the names
    opening, sides = "", {low: _SIDES.get(low, _NEITHER) for low in unclear}
    if len({*sides.values()}) > 1:
        unclear.sort(key=sides.__getitem__)
    elif len(free) == 2 and unclear:
        openers = Counter(next((low for low in map(str.lower, chat) if SYNONYMS.get(low) != "system"), "") for chat in spoken)
        (opener, times), *_ = openers.most_common(1)
        unclear.sort(key=lambda low: low != opener)
        unclear, opening = (unclear, f" ({written[opener]} speaks first)") if times >= FIRST * len(spoken) else ([], "")
    roles |= dict(zip(unclear, free, strict=False))
    named = {written[low]: role for low, role in roles.items()}
    return named or None, "; " * bool(named) + ", ".join(f"{name} is the {role}" for name, role in named.items()) + opening


def unread_keys(turns: Iterable[Any], read: tuple[str, str]) -> list[str]:
    """Return the keys of messages that say when or by whom they were written, and so on; none that holds text, or that changes what is
    trained."""
    values: dict[str, list[Any]] = {}
    for turn in turns:
        for key, value in turn.items() if isinstance(turn, dict) else ():
            if key not in (*read, "train", "weight", "loss") and not is_verdict(key, value) and value not in (None, "", [], {}):
                own = turn.get(read[1])
                values.setdefault(str(key), []).append(_holds_text(value, own if isinstance(own, str) else ""))
    return [key for key, texts in values.items() if _plain(key) not in TRAINED and not any(texts)]


def _holds_text(value: Any, own: str, depth: int = 0) -> bool:
    """Return whether the value is or holds a text that is not in the message's `own`: its parts repeat that."""
    if isinstance(value, str):
        return len(value.split()) >= WORDS and value not in own
    if isinstance(value, dict):
        value = [item for key, item in value.items() if isinstance(item, dict | list) or str(key).lower() in TEXTS]
    items = value if isinstance(value, list) else []
    return depth < MAX_DEPTH and any(_holds_text(item, own, depth + 1) for item in items)


def _plain(key: str) -> str:
    """Return the key as `tool_calls` and `toolCalls` have it in common."""
    return re.sub("[_-]", "", key).lower()


TRAINED = {*map(_plain, MEANINGS)} - {*map(_plain, VERDICTS)} | {*map(_plain, OF_TRAINING)}
