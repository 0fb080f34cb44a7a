"""EmoLLM's scenario matrix: a counselling dialogue for every area of life and emotion.

A reply `病人：… 医生：…` becomes a row in the project's own form, for the emollm converter (its option keep_meta keeps the other keys):

    {"conversation": [{"system": "现在你是一个心理专家，…", "input": "…", "output": "…"}, …], "area": "工作", "emotion": "焦虑",
     "generated_by": {"number": 1, "prompt": "emollm_single_turn", ...}}

The source's list of emotions has 28 entries but contains 同情 twice: 16 areas x 27 emotions are 432 scenarios, not the 448 that it states.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Annotated, Any

from ....converters.reading.records import GENERATED_BY, Drop, Row
from ....schemas.options import Keyword, Positive, Text
from ....schemas.prompts import Prompt
from ...providers.requests import Request, messages
from ..dialogue import parse_dialogue
from ..outcomes import Passthrough, Rejected, Rows

VERSION = 2
REFUSALS_ARE_ANSWERS = False
AREAS = "工作 学业 生活 身体 家人 朋友 社交 恋爱 就业 责任 爱好 环境 隐私 安全 梦想 自由".split()
EMOTIONS = (
    "钦佩 崇拜 欣赏 娱乐 焦虑 敬畏 尴尬 厌倦 冷静 困惑 渴望 厌恶 同情 痛苦"
    " 着迷 嫉妒 兴奋 恐惧 痛恨 有趣 快乐 怀旧 浪漫 悲伤 满意 性欲 同情 满足"
).split()
SYSTEM = "现在你是一个心理专家，我有一些心理问题，请你用专业的知识帮我解决。"


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
