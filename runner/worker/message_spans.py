"""Locate each message's content in the text that a chat template renders, to the character.

The template is given contents with private-use characters. If it otherwise writes the same as without them, they mark where the contents
are. This needs no knowledge of any template.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Message = dict[str, Any]
Render = Callable[[list[Message]], str]

_MARKS = re.compile("([\U000f0000-\U0010ffff])")
_FIRST_MARK, _LAST_MARK = 0xF0000, 0x10FFFD
# Tags are unchanged, because templates look for them: </think>, [/INST], <tool_response>.
_TOKEN = re.compile(r"<[^<>\s]*>|\[[^\[\]\s]*\]|[^\s<>\[\]]+|[<>\[\]]")
_REASONING = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)


class Span(NamedTuple):
    """Characters `start` to `end` of the rendered text: a message's content, or a word of it. `reasoning` is inside <think>."""

    message: int
    start: int
    end: int
    reasoning: bool = False


class Lost(NamedTuple):
    """What the template leaves out of a message: `text` is a word, white space at its ends (whitespace) or inside (gap), or reasoning. Or
    what it writes inside (inserted), with the white space that was there."""

    message: int
    kind: str  # word, gap, whitespace, reasoning, inserted
    text: str


class Located(NamedTuple):
    """What was found in the rendered text, and what was not."""

    spans: list[Span]
    lost: list[Lost]


def mark_contents(messages: list[Message]) -> list[Message]:
    """Return the messages with a mark before and after each content."""
    return [
        {**message, "content": f"{chr(_FIRST_MARK + 2 * index)}{message['content']}{chr(_FIRST_MARK + 2 * index + 1)}"}
        for index, message in enumerate(messages)
    ]


def unmarked(text: str) -> str:
    """Return the text without marks."""
    return _MARKS.sub("", text)


def whole_contents(messages: list[Message], marked: str) -> list[Span] | None:
    """Return the spans of contents that occur whole, once each, in the text rendered from `mark_contents`; None if they do not."""
    parts, spans, at = _MARKS.split(marked), [], len(_MARKS.split(marked, 1)[0])
    if len(parts) != 4 * len(messages) + 1:
        return None
    for number in range(1, len(parts) - 2, 4):
        begin, content, end, between = parts[number : number + 4]
        index = (ord(begin) - _FIRST_MARK) // 2
        if index >= len(messages) or ord(end) != ord(begin) + 1 or content != messages[index]["content"]:
            return None
        spans.append(Span(index, at, at + len(content)))
        at += len(content) + len(between)
    return spans if len({span.message for span in spans}) == len(messages) else None


def locate(messages: list[Message], render: Render, text: str) -> Located | None:
    """Locate each content in `text`, the template's own rendering. None if the marks change what it writes."""
    marks = _free_marks(messages)
    words = [[(token.span(), next(marks, "")) for token in _TOKEN.finditer(m["content"]) if not _is_tag(token.group())] for m in messages]
    marked = render([{**m, "content": _with_marks(m["content"], found)} for m, found in zip(messages, words, strict=True)])
    used = {mark: (index, span) for index, found in enumerate(words) for span, mark in found}
    places, plain = _places(marked, used)
    if plain != text or "" in used:
        return None
    located = Located([], [])
    for index, message in enumerate(messages):
        seen = {span: places[mark] for span, mark in words[index] if mark in places}
        _account(index, message, seen, _region(index, words, places, text), text, located)
        _edges(index, messages, render, text, located)
    return located


def _free_marks(messages: list[Message]) -> Iterator[str]:
    taken = set("".join(message["content"] for message in messages))
    return (chr(code) for code in range(_FIRST_MARK, _LAST_MARK) if chr(code) not in taken)


def _is_tag(token: str) -> bool:
    return token[0] in "<>[]"


def _with_marks(content: str, words: list[tuple[tuple[int, int], str]]) -> str:
    """Return the content with each word's mark after the word."""
    parts, at = [], 0
    for (_, end), mark in words:
        parts += [content[at:end], mark]
        at = end
    return "".join([*parts, content[at:]])


def _places(marked: str, used: dict[str, Any]) -> tuple[dict[str, int], str]:
    """Return each mark's position in the text without marks (the last one, if a template writes a content twice), and that text."""
    places, parts, at = {}, [], 0
    for part in _MARKS.split(marked):
        if part in used:
            places[part] = at
        else:
            parts.append(part)
            at += len(part)
    return places, "".join(parts)


def _region(index: int, words: Any, places: dict[str, int], text: str) -> tuple[int, int]:
    """Return the part of the text in which this message's tags may be: between the words of its neighbours."""
    before = [places[mark] for found in words[:index] for _, mark in found if mark in places]
    after = [places[mark] - (end - start) for found in words[index + 1 :] for (start, end), mark in found if mark in places]
    first = max(before, default=0)
    return first, min((place for place in after if place >= first), default=len(text))


def _account(index: int, message: Message, seen: dict[tuple[int, int], int], region: tuple[int, int], text: str, located: Located) -> None:
    """Process each token of the content in order: it is at its mark, found between its neighbours, or lost. Adjacent tokens with what is
    between them form one span."""
    content = message["content"]
    thought = _REASONING.match(content) if message["role"] == "assistant" else None
    tokens = list(_TOKEN.finditer(content))
    at, before = region[0], None
    for number, token in enumerate(tokens):
        start, end = token.span()
        is_reasoning = thought is not None and end <= thought.end()
        place = _place(tokens[number:], seen, (at, region[1]), text)
        if place < 0:
            located.lost.append(Lost(index, "reasoning" if is_reasoning else "word", token.group()))
            before = None
            continue
        begin = place
        if before is not None:
            gap = content[before:start]
            if gap not in text[at:place]:
                located.lost.append(Lost(index, "reasoning" if thought and start <= thought.end() else "gap", gap))
            elif text[at:place] != gap:
                if not (thought and start <= thought.end()):  # templates write their own white space around reasoning
                    located.lost.append(Lost(index, "inserted", text[at:place]))
            elif located.spans[-1].reasoning == is_reasoning:
                begin = located.spans.pop().start
        located.spans.append(Span(index, begin, place + end - start, is_reasoning))
        at, before = place + end - start, end


def _place(tokens: list[re.Match[str]], seen: dict[tuple[int, int], int], region: tuple[int, int], text: str) -> int:
    """Return where the first of these tokens starts in the text, or -1. One without a mark must precede the next one with a mark."""
    start, end = tokens[0].span()
    if (start, end) in seen:
        place = seen[start, end] - (end - start)
        return place if text.startswith(tokens[0].group(), place) else -1  # -1: another word precedes its mark
    if not _is_tag(tokens[0].group()):
        return -1
    following = (seen[token.span()] - len(token.group()) for token in tokens[1:] if token.span() in seen)
    return text.find(tokens[0].group(), region[0], next(following, region[1]))


def _edges(index: int, messages: list[Message], render: Render, text: str, located: Located) -> None:
    """Check white space at a content's ends, which a template may strip. Marks outside it show whether this one does."""
    content = messages[index]["content"]
    edge = content[: len(content) - len(content.lstrip())] + content[len(content.rstrip()) :] if content.strip() else content
    if not edge or any(lost.message == index and lost.kind != "whitespace" for lost in located.lost):
        return
    begin, end = "\U0010fffd", "\U0010fffc"
    marked = render([{**m, "content": begin + m["content"] + end} if n == index else m for n, m in enumerate(messages)])
    if f"{begin}{content}{end}" not in marked or unmarked(marked) != text:
        located.lost.append(Lost(index, "whitespace", edge))
