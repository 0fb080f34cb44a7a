"""EmoLLM's scenario matrix: a counselling dialogue for every area of life and emotion.

A reply `病人：… 医生：…` becomes a row in the project's own form, for the emollm converter (its option keep_meta keeps the other keys):

    {"conversation": [{"system": "现在你是一个心理专家，…", "input": "…", "output": "…"}, …], "area": "工作", "emotion": "焦虑",
     "generated_by": {"number": 1, "prompt": "emollm_single_turn", ...}}

The source's list of emotions has 28 entries but contains 同情 twice: 16 areas x 27 emotions are 432 scenarios, not the 448 that it states.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Annotated, Any, NamedTuple

from ....converters.reading.records import GENERATED_BY, Drop, Row
from ....schemas.options import Keyword, Positive, Text
from ....schemas.prompts import Prompt
from ...providers.requests import Request, messages
from ..outcomes import Passthrough, Rejected, Rows

VERSION = 2
REFUSALS_ARE_ANSWERS = False
AREAS = "工作 学业 生活 身体 家人 朋友 社交 恋爱 就业 责任 爱好 环境 隐私 安全 梦想 自由".split()
EMOTIONS = (
    "钦佩 崇拜 欣赏 娱乐 焦虑 敬畏 尴尬 厌倦 冷静 困惑 渴望 厌恶 同情 痛苦"
    " 着迷 嫉妒 兴奋 恐惧 痛恨 有趣 快乐 怀旧 浪漫 悲伤 满意 性欲 同情 满足"
).split()
SYSTEM = "现在你是一个心理专家，我有一些心理问题，请你用专业的知识帮我解决。"
_ROLES = {
    "user": "病人 患者 来访者 求助者 用户 Patient Client User Visitor",
    "assistant": "医生 心理医生 咨询师 心理咨询师 心理专家 专家 Doctor Therapist Counselor Counsellor Assistant",
}
_SPEAKERS = {name.lower(): role for role, names in _ROLES.items() for name in names.split()}
_NAMES = "|".join(sorted(_SPEAKERS, key=len, reverse=True))
_TAG = re.compile(
    rf"(?:^|(?<=\s))(?:[#>*\-][ \t]*|\d+[.、)][ \t]*)*({_NAMES})(?:[ \t]*[（(][^）)\n]{{0,12}}[）)])?"
    r"[ \t]*\*{0,2}[ \t]*[:：][ \t]*\*{0,2}[ \t]*",
    re.MULTILINE | re.IGNORECASE,
)


def requests(
    rows: Iterable[Row],
    prompt: Prompt | None,
    seed: int,
    *,
    areas: Annotated[Sequence[Text] | None, Keyword("minItems", 1), "The areas of life: `{area}`. Default: EmoLLM's 16."] = None,
    emotions: Annotated[
        Sequence[Text] | None,
        Keyword("minItems", 1),
        "The emotions: `{emotion}`. Default: EmoLLM's list of 28, which names one twice; each is used once.",
    ] = None,
    count: Annotated[Positive, "Dialogues per scenario and prompt; with min_rows, the maximum."] = 1,
    system_prompt: Annotated[Text, "The system prompt written into every dialogue."] = SYSTEM,
    max_turns: Annotated[Positive | None, "Keep at most this many questions and answers of a dialogue."] = None,
) -> Iterator[Request | Passthrough | Drop]:
    """Yield `count` requests per scenario; a repeated scenario is a drop, so that it is counted."""
    assert prompt is not None, "a rule asks for it"
    seen: dict[tuple[str, str], int] = {}
    for repetition in range(count):  # every scenario once before any is repeated, so that min_rows skips none
        for number, (area, emotion) in enumerate(product(areas or AREAS, emotions or EMOTIONS), 1):
            place = Row(None, "scenarios", number)
            if seen.setdefault((area, emotion), number) == number:
                asked = messages(prompt, {"area": area, "emotion": emotion})
                yield Request(place, asked, repetition, {"area": area, "emotion": emotion, "number": repetition + 1})
            elif not repetition:
                yield Drop(place, "scenario_named_twice", f"{area} x {emotion}", filtered=True)


def parse_reply(
    request: Request, reply: str, *, system_prompt: str = SYSTEM, max_turns: int | None = None, **options: Any
) -> Rows | Rejected:
    """Return one conversation."""
    found = parse_dialogue(reply, max_turns)
    if isinstance(found, Rejected):
        return found
    turns: list[dict[str, str]] = [{"input": asked, "output": answered} for asked, answered in found.pairs]
    turns[0] = {"system": system_prompt, **turns[0]}
    text = "\n".join(part for pair in found.pairs for part in pair)
    about = dict(request.about)
    scenario = {"area": about.pop("area"), "emotion": about.pop("emotion")}
    return Rows([{"conversation": turns, **scenario, GENERATED_BY: about}], text, found.fixed)


class Dialogue(NamedTuple):
    """(question, answer) pairs, and what was fixed."""

    pairs: list[tuple[str, str]]
    fixed: tuple[str, ...] = ()


def parse_dialogue(text: str, max_turns: int | None = None) -> Dialogue | Rejected:
    """Return the dialogue in a reply, `病人：… 医生：…`, also one that does not keep to the format; Rejected if no question has an answer.

    A speaker is named at the start of a line (or after a space), with either colon, and possibly Markdown or a number around it.
    Consecutive messages of one speaker are joined; text before the patient first speaks is left out; a dialogue that ends with the patient
    loses that last question. Each of these is counted.
    """
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
