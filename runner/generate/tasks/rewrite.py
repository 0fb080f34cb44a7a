"""Rewrite one text of each given row: stories with an emotion (BabyLM), answers with a warm voice (Alpaca), replies shortened by emoji
(EmoGPT).

    read: text, write: augmented_text       {"text": "...", "emotion": "curiosity", "augmented_text": "...", ...}
    read: output, write: rewritten_output   {"instruction": "...", "output": "...", "rewritten_output": "...", "emotion": "joy"}
    read: messages                          {"messages": [..., {"role": "assistant", "content": the new reply}],
                                             "metadata": {"original_tokens": 38, "augmented_tokens": 16, ...}}

The original stays in the row, under `generated_by`, with the tokens of both (cl100k_base, as in the sources).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

from ....converters.reading.records import GENERATED_BY, Drop, Row
from ....converters.sources.alpaca_emotion import without_labels
from ....schemas.options import Keyword, Natural, Text
from ....schemas.prompts import Prompt
from ...evaluation.metrics.cl100k import count_tokens
from ...providers.requests import Request, chosen_examples, messages
from ..outcomes import Passthrough, Rejected, Rows

VERSION = 2
REFUSALS_ARE_ANSWERS = False
_ENDS = ("</s>", "[/INST]", "<|im_end|>", "<|eot_id|>", "<|endoftext|>")


def requests(
    rows: Iterable[Row],
    prompt: Prompt | None,
    seed: int,
    *,
    read: Annotated[Text, "The key of the text to rewrite, or `messages` for the last reply of a chat."] = "text",
    write: Annotated[Text, "The key for the new text. With `read: messages`, it replaces the reply."] = "augmented_text",
    emotions: Annotated[Sequence[Text], "Write each row once with each of these: `{emotion}`. Default: the row's own emotion."] = (),
    emotion_key: Annotated[Text, "The key of the row's own emotion, if it has one."] = "emotion",
    examples: Annotated[Natural, Keyword("maximum", 50), "How many of the prompt file's examples are shown, a seeded choice."] = 0,
    clean: Annotated[
        bool, "Remove the prompt's labels (Rewritten Output:, Desired Emotion:) that a model repeats before its answer."
    ] = True,
) -> Iterator[Request | Passthrough | Drop]:
    """Yield one request per row and emotion; a drop for a row without the text."""
    assert prompt is not None, "a rule asks for it"
    for row in rows:
        value = row.value
        text = _text(value, read)
        if text is None:
            yield Drop(row, "no_text", f"{read} is missing or blank")
            continue
        own = value.get(emotion_key)
        for emotion in emotions or [", ".join(map(str, own)) if isinstance(own, list) else own]:
            places = {key: item for key, item in value.items() if isinstance(item, str | int | float)}
            places |= {"text": text, "emotion": emotion or ""}
            places["examples"] = chosen_examples(prompt, emotion, examples, f"{seed} {row} {emotion}")
            if emotion is None and "emotion" in prompt.placeholders:
                yield Drop(row, "no_emotion", f"the prompt names an emotion, but {emotion_key} is missing")
                continue
            yield Request(row, messages(prompt, places), 0, {"value": value, "text": text, "emotion": emotion})


def parse_reply(
    request: Request, reply: str, *, read: str = "text", write: str = "augmented_text", emotion_key: str = "emotion", clean: bool = True,
    **options: Any,
) -> Rows | Rejected:  # fmt: skip
    """Return the row with its new text."""
    about = request.about
    text, fixed = _cleaned(reply) if clean else (reply.strip(), ())
    if not text:
        return Rejected("empty", "nothing but labels of the prompt")
    if text == about["text"].strip():
        return Rejected("unchanged", "the reply is the original")
    counts = {"original_tokens": count_tokens(about["text"]), "augmented_tokens": count_tokens(text)}
    if read == "messages":
        return Rows([_chat(about["value"], text, counts)], text, fixed)
    row = {**about["value"], write: text, GENERATED_BY: {**counts, "original": about["text"]}}
    return Rows([row | ({emotion_key: about["emotion"]} if about["emotion"] else {})], text, fixed)


def _text(value: Any, read: str) -> str | None:
    """Return the text to rewrite: a key's value, or the last reply; None if there is none."""
    found = value.get(read) if isinstance(value, dict) else None
    if read == "messages":
        last = found[-1] if isinstance(found, list) and found else None
        found = last.get("content") if isinstance(last, dict) and last.get("role") == "assistant" else None
    return found if isinstance(found, str) and found.strip() else None


def _chat(value: dict[str, Any], text: str, counts: dict[str, int]) -> dict[str, Any]:
    """Return a row in EmoGPT's form, with the figures that its converter and metrics read."""
    before, after = counts["original_tokens"], counts["augmented_tokens"]
    facts = {"augmented": True, **counts, "token_reduction": before - after, "reduction_pct": round((before - after) / before * 100, 2)}
    given = value.get("metadata")
    turns = {"turns": len(value["messages"]) // 2, GENERATED_BY: {"original": value["messages"][-1]["content"]}}
    chat = [*value["messages"][:-1], {"role": "assistant", "content": text}]
    return {"messages": chat, "metadata": {**(given if isinstance(given, dict) else {}), **turns, **facts}}


def _cleaned(reply: str) -> tuple[str, tuple[str, ...]]:
    """Return the reply without what a model adds around its answer: end marks, labels of the prompt, quotes around the whole."""
    text, fixed = reply.strip(), []
    for mark in _ENDS:
        if mark in text:
            text = text.split(mark)[-1 if mark == "[/INST]" else 0].strip()
            fixed.append("end_mark_removed")
    text, labels, _ = without_labels(text)
    fixed += labels
    if len(text) > 1 and text[0] + text[-1] in ('""', "“”") and not set('"“”') & set(text[1:-1]):
        text = text[1:-1].strip()
        fixed.append("quotes_removed")
    return text, tuple(dict.fromkeys(fixed))
