"""Build chat messages from question-answer turns."""

import re
from collections.abc import Iterable
from typing import Any

Pair = tuple[Any, Any]


def chat_messages(pairs: Iterable[Pair], system: Any = None) -> list[dict[str, Any]]:
    """Return a message for each question and answer, after the system message if given. Contents are not checked here."""
    messages = [{"role": "system", "content": system}] if system not in (None, "") else []
    for question, answer in pairs:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return messages


def history_pairs(history: Any) -> list[Pair] | None:
    """Return earlier turns given as `[["q", "a"], ...]` (LLaMA-Factory, swift) or `[{"query": "q", "response": "a"}, ...]`, or None."""
    if history is None:
        return []
    if not isinstance(history, list):
        return None
    pairs: list[Pair] = []
    for turn in history:
        if isinstance(turn, dict) and set(turn) == {"query", "response"}:
            pairs.append((turn["query"], turn["response"]))
        elif isinstance(turn, list) and len(turn) == 2:
            pairs.append((turn[0], turn[1]))
        else:
            return None
    return pairs


_PLACE = re.compile(r"\{(\w+)\}")


def fill(template: str, **values: Any) -> str:
    """Replace `{name}` in the template for each given name. Other braces are kept; inserted values are not searched."""
    return _PLACE.sub(lambda place: str(values.get(place[1], place[0])), template)
