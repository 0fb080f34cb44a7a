"""Parse a dialogue written by a model, `病人：… 医生：…`, into questions and answers, including replies that do not keep to the format.

A speaker is named at the start of a line (or after a space), with either colon, and possibly Markdown or a number around it. Consecutive
messages of one speaker are joined; text before the patient first speaks is left out; a dialogue that ends with the patient loses that last
question. Each of these is counted.
"""

import re
from typing import NamedTuple

from .outcomes import Rejected

_ROLES = {
    "user": "病人 患者 来访者 求助者 用户 Patient Client User Visitor",
    "assistant": "医生 心理医生 咨询师 心理咨询师 心理专家 专家 Doctor Therapist Counselor Counsellor Assistant",
}
_SPEAKERS = {name.lower(): role for role, names in _ROLES.items() for name in names.split()}
_NAMES = "|".join(sorted(_SPEAKERS, key=len, reverse=True))
_TAG = re.compile(
    rf"(?:^|(?<=\s))(?:[#>*\-]+[ \t]*|\d+[.、)][ \t]*)*({_NAMES})(?:[ \t]*[（(][^）)\n]{{0,12}}[）)])?"
    r"[ \t]*\*{0,2}[ \t]*[:：][ \t]*\*{0,2}[ \t]*",
    re.MULTILINE | re.IGNORECASE,
)


class Dialogue(NamedTuple):
    """(question, answer) pairs, and what was fixed."""

    pairs: list[tuple[str, str]]
    fixed: tuple[str, ...] = ()


def parse_dialogue(text: str, max_turns: int | None = None) -> Dialogue | Rejected:
    """Return the dialogue in a reply; Rejected if there is no question with an answer."""
    spoken, fixed = _spoken(text)
    if not spoken:
        return Rejected("no_dialogue", "no speaker: neither 病人： nor 医生：")
    while spoken and spoken[0][0] == "assistant":
        spoken = spoken[1:]
        fixed.append("greeting_left_out")
    if spoken and spoken[-1][0] == "user":
        spoken = spoken[:-1]
        fixed.append("closing_line_missing")
    if not spoken:
        return Rejected("no_dialogue", "a question without an answer, or an answer without a question")
    pairs = [(asked[1], answered[1]) for asked, answered in zip(spoken[::2], spoken[1::2], strict=True)]
    if max_turns and len(pairs) > max_turns:
        pairs = pairs[:max_turns]
        fixed.append("shortened")
    return Dialogue(pairs, tuple(dict.fromkeys(fixed)))


def _spoken(text: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the messages, with those of one speaker in a row joined and blank ones left out, and what was fixed."""
    tags = list(_TAG.finditer(text))
    fixed = ["preamble_left_out"] if tags and text[: tags[0].start()].strip() else []
    spoken: list[tuple[str, str]] = []
    ends = [*(tag.start() for tag in tags[1:]), len(text)]
    for tag, end in zip(tags, ends, strict=False):  # without tags, there is still one end
        role = _SPEAKERS[tag[1].lower()]
        content = text[tag.end() : end].strip()
        if not content:
            fixed.append("blank_line_left_out")
        elif spoken and spoken[-1][0] == role:
            spoken[-1] = (role, f"{spoken[-1][1]}\n\n{content}")
            fixed.append("spoke_twice")
        else:
            spoken.append((role, content))
    return spoken, fixed
