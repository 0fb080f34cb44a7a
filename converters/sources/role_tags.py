"""Remove speaker tags that leaked into messages: `…先放松。\\n\\n医生：另外，…` is a doctor who continues, not a new turn.

A generator asks a model for a dialogue as `病人：… 医生：…` and splits it at the tags; if one speaker spoke twice, a tag remains.
"""

import re
from typing import Any

SPEAKERS = {"医生": "assistant", "咨询师": "assistant", "病人": "user", "来访者": "user"}
# At the start, or after white space: 艾薇医生：… within a sentence is an address. Models decorate tags with `# ` and `**`.
_TAG = re.compile(rf"(?:\A|(?<=\s))(?:[#*]+[ \t]*)?({'|'.join(SPEAKERS)})[:：]\*{{0,2}}[ \t]*")


def has_role_tag(text: str) -> bool:
    """Return whether the text has a speaker's tag."""
    return bool(_TAG.search(text))


def without_role_tags(messages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], set[str]]:
    """Return the messages without tags, and what was done: a speaker's own tag is removed, another's starts a new message.

    Adjacent messages of one speaker are joined by a blank line.
    """
    parts: list[dict[str, Any]] = []
    done: set[str] = set()
    for message in messages:
        if message["role"] == "system" or not has_role_tag(message["content"]):
            pieces = [message]
        else:
            pieces = _cut(message)
            done.add("role_tag_removed" if {piece["role"] for piece in pieces} <= {message["role"]} else "role_tag_split")
        for piece in pieces:
            if done and parts and parts[-1]["role"] == piece["role"]:
                parts[-1] = {**piece, "content": f"{parts[-1]['content'].rstrip()}\n\n{piece['content'].lstrip()}"}
            else:
                parts.append(piece)
    return parts, done


def _cut(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Split a message by speaker; blank parts are left out."""
    text, start = message["content"], 0
    spoken: list[tuple[str, str]] = [(message["role"], "")]
    for tag in _TAG.finditer(text):
        role, content = spoken[-1]
        spoken[-1] = (role, content + text[start : tag.start()])
        start = tag.end()
        if SPEAKERS[tag[1]] != role:
            spoken.append((SPEAKERS[tag[1]], ""))
    role, content = spoken[-1]
    spoken[-1] = (role, content + text[start:])
    if len(spoken) == 1:
        return [{"role": role, "content": spoken[0][1]}]
    return [{"role": role, "content": content.strip()} for role, content in spoken if content.strip()]
