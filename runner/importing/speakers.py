"""Find out which speaker of a chat is the user and which the assistant, if their names are not those of known roles."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ...converters.sources.sharegpt import ROLES

MESSAGES_ROLES = ("system", "user", "assistant", "tool")
SYNONYMS = {**ROLES, "developer": "system", "ai": "assistant", "bot": "assistant"}
FIRST = 0.9  # share of the chats that must begin with the same speaker


def chat_roles(chats: Iterable[list[Any]], share_gpt: bool = False) -> tuple[dict[str, str] | None, str]:
    """Return what the converter's option `roles` must be, and the reason; None and "" if every role is known or none can be chosen.

    `chats` are the speakers' names of each chat, in order. Of two unknown names, the one that speaks first is the user.
    """
    spoken = [[name for name in chat if isinstance(name, str)] for chat in chats]
    written = {name.lower(): name for chat in reversed(spoken) for name in reversed(chat)}  # as first written; case is ignored
    known = ROLES if share_gpt else MESSAGES_ROLES
    unknown = [low for low, name in reversed(written.items()) if (low if share_gpt else name) not in known]
    roles = {low: SYNONYMS[low] for low in unknown if low in SYNONYMS}
    taken = {SYNONYMS.get(low) for low in written}
    unclear, free = [low for low in unknown if low not in roles], [role for role in ("user", "assistant") if role not in taken]
    if len(unclear) > len(free):
        unclear = []  # the rows will be refused, with the names
    opening = ""
    if len(free) == 2 and unclear:
        openers = Counter(next((low for low in map(str.lower, chat) if SYNONYMS.get(low) != "system"), "") for chat in spoken)
        (opener, times), *_ = openers.most_common(1)
        unclear.sort(key=lambda low: low != opener)
        unclear, opening = (unclear, f" ({written[opener]} speaks first)") if times >= FIRST * len(spoken) else ([], "")
    roles |= dict(zip(unclear, free, strict=False))
    named = {written[low]: role for low, role in roles.items()}
    return named or None, "; " * bool(named) + ", ".join(f"{name} is the {role}" for name, role in named.items()) + opening
