"""Who the model is: questions and answers, each question in several wordings, as EmoLLM mixes them in.

    {"question": "请介绍一下你自己", "answer": "我是{name}，由{maker}开发…", "paraphrases": ["做个自我介绍吧", ...]}

Rows may also have EmoLLM's own forms (instruction and output; a conversation of one turn). Every wording, written by hand or by a model,
becomes a row for the emollm converter: {"conversation": [{"input", "output"}], "generated_by": {"wording": ..., "question": ...}}.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from ....converters.reading.records import GENERATED_BY, Drop, Row
from ....converters.sources.counselling_forms import Fault, read_conversation
from ....converters.sources.turns import fill
from ....schemas.options import Keyword, Natural, Text
from ....schemas.prompts import Prompt
from ...providers.requests import Request, messages
from ..outcomes import Passthrough, Rejected, Rows

VERSION = 2
REFUSALS_ARE_ANSWERS = False
_NUMBER = re.compile(r"^\s*(?:\d+[.、)）:：]|[-*•])?\s*")
_LEFT_OPEN = re.compile(r"\{\w+\}")


def requests(
    rows: Iterable[Row],
    prompt: Prompt | None,
    seed: int,
    *,
    paraphrases: Annotated[
        Natural, Keyword("maximum", 50), "Ask for this many other wordings of each question; 0 takes the list as it is."
    ] = 0,
    names: Annotated[dict[str, Text] | None, "Values of `{name}`, `{maker}`, ... in questions and answers."] = None,
) -> Iterator[Request | Passthrough | Drop]:
    """Yield the given wordings, and a request for more of each question; a drop for a row that is not a question and answer."""
    seen: set[tuple[str, str]] = set()
    for row in rows:
        found = _pair(row)
        if isinstance(found, Drop):
            yield found
            continue
        question, answer, others = (fill(found[0], **names or {}), fill(found[1], **names or {}), found[2])
        if open_name := _LEFT_OPEN.search(question + answer):
            yield Drop(row, "name_left_open", f"{open_name.group()}: set it in options.names")
            continue
        if (question, answer) in seen:
            yield Drop(row, "duplicate", question[:40], filtered=True)
            continue
        seen.add((question, answer))
        wordings = dict.fromkeys([question, *(fill(other, **names or {}) for other in others)])
        yield Passthrough(row, [_row(wording, answer, question, "list") for wording in wordings])
        if prompt and paraphrases:
            asked = messages(prompt, {"question": question, "answer": answer, "count": str(paraphrases)})
            about = {"question": question, "answer": answer, "known": list(wordings), "count": paraphrases}
            yield Request(row, asked, 0, about)


def parse_reply(request: Request, reply: str, **options: Any) -> Rows | Rejected:
    """Return a row for every new wording, one per line. Known wordings, and lines as long as an answer, do not count."""
    about = request.about
    known = {_bare(wording) for wording in about["known"]}
    longest = 3 * max(len(about["question"]), 20)
    wordings: list[str] = []
    for line in reply.splitlines():
        wording = _NUMBER.sub("", line, count=1).strip().strip('"“”「」')
        if wording and _bare(wording) not in known and len(wording) <= longest and not wording.endswith((":", "：")):
            known.add(_bare(wording))
            wordings.append(wording)
    if not wordings:
        return Rejected("no_paraphrase", "no line is another wording of the question")
    rows = [_row(wording, about["answer"], about["question"], "model") for wording in wordings[: about["count"]]]
    return Rows(rows, "\n".join(wordings[: about["count"]]))


def _bare(text: str) -> str:
    """Return what distinguishes wordings: the letters without punctuation."""
    return re.sub(r"\W", "", text).lower()


def _row(wording: str, answer: str, question: str, origin: str) -> dict[str, Any]:
    return {"conversation": [{"input": wording, "output": answer}], GENERATED_BY: {"wording": origin, "question": question}}


def _pair(row: Row) -> tuple[str, str, list[str]] | Drop:
    value = row.value
    others = value.get("paraphrases", []) if isinstance(value, dict) else []
    if isinstance(value, dict) and "conversation" not in value:
        value = {key: item for key, item in value.items() if key != "paraphrases"}
    found = read_conversation(value)
    if isinstance(found, Fault):
        return Drop(row, found.reason, found.detail)
    if len(found.pairs) != 1:
        return Drop(row, "several_turns", "a question and its answer are one turn")
    question, answer = found.pairs[0]
    texts = [question, answer, *(others if isinstance(others, list) else [None])]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        return Drop(row, "not_text", "question, answer and paraphrases are texts that are not blank")
    return question.strip(), answer.strip(), [other.strip() for other in texts[2:]]
