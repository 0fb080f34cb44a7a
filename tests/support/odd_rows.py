"""Rows of every source with unusual but plausible forms: other keys, values of other types, parts, white space. Every word occurs once."""

import random
import re
from typing import Any

WORD = re.compile(r"w\d+z")
MESSAGE_KEYS = [
    "train",
    "weight",
    "name",
    "loss",
    "tool_calls",
    "reasoning_content",
    "thinking",
    "id",
    "timestamp",
    "images",
    "label",
    "mask",
    "text",
]
ROW_KEYS = ["system", "system_prompt", "tools", "images", "id", "source", "metadata", "meta", "prompt", "completion", "messages", "conversations",
            "conversation", "text", "label", "input", "output", "instruction", "history", "context", "chosen", "rejected", "split", "weight", "train",
            "question", "answer", "response", "query", "kto_tag", "Unnamed: 0", "turns", "origin"]  # fmt: skip
NAMES = ["user", "assistant", "system", "tool", "User", "human", "gpt", "developer", "bot"]


class OddRows:
    """Makes the rows. `row` returns one that a converter mostly reads."""

    def __init__(self, seed: str) -> None:
        self.draw = random.Random(seed)
        self.words = 0

    def text(self) -> str:
        """One to three new words, with odd characters between and around them."""
        self.words += 3
        words = [f"w{self.words + number}z" for number in range(self.draw.choice([1, 1, 2, 3]))]
        between = self.draw.choice([" ", "\n", "\n\n", "\t", ' "q" ', "\u2028", "\\n", "字", " &amp; "])
        start, end = self.draw.choice(["", "", "", " ", "\n", '"', "<s>", "{{n}} "]), self.draw.choice(["", "", "", "\n", " ", '"'])
        return start + between.join(words) + end

    def value(self) -> Any:
        """Any value, mostly a text."""
        kinds = [None, "", [], {}, 0, 1, True, 1.5, [self.text()], {"k": self.text()}]
        return self.text() if self.draw.random() < 0.4 else self.draw.choice(kinds)

    def content(self) -> Any:
        """A message's content, mostly a text."""
        parts = [{"type": "text", "text": self.text()}, {"text": self.text(), self.draw.choice(["id", "annotations"]): self.value()}]
        return (
            self.text()
            if self.draw.random() < 0.85
            else self.draw.choice([parts[:1], parts, [*parts[:1], *parts[:1]], [self.text()], self.value()])
        )

    def extra(self, names: list[str], share: float = 0.05) -> dict[str, Any]:
        """Further keys of a message or row."""
        return {name: self.value() for name in names if self.draw.random() < share}

    def turns(self, role: str, content: str, names: tuple[str, str, str]) -> list[Any]:
        """Messages in one of the usual forms."""
        system, user, assistant = names
        spoken = [system] * (self.draw.random() < 0.3) + [user, assistant] * self.draw.choice([1, 1, 2])
        if self.draw.random() < 0.05:
            spoken.insert(self.draw.randrange(len(spoken)), self.draw.choice(NAMES))
        return [{role: name, content: self.content(), **self.extra(MESSAGE_KEYS, 0.03)} for name in spoken]

    def row(self, converter: str) -> dict[str, Any]:
        """A row of the converter's source."""
        openai, sharegpt = ("role", "content", ("system", "user", "assistant")), ("from", "value", ("system", "human", "gpt"))
        native = [
            {**self.extra(["system"], 0.3), "input": self.content(), "output": self.content()} for _ in range(self.draw.choice([1, 2]))
        ]
        forms: dict[str, list[Any]] = {
            "messages": [lambda: {"messages": self.turns(*openai)}],
            "sharegpt": [lambda: {"conversations": self.turns(*sharegpt)}],
            "lmsys": [lambda: {"conversation": self.turns(*openai), "conversation_id": self.text(), "language": "English"}],
            "alpaca": [lambda: {"instruction": self.content(), "input": self.content(), "output": self.content()}],
            "prompt_completion": [lambda: {"prompt": self.content(), "completion": self.content()},
                                  lambda: {"prompt": self.turns(*openai)[:-1], "completion": self.turns(*openai)[-1:]}],
            "table": [lambda: {"text": self.content(), "label": self.value(), "user": self.content(), "assistant": self.content()}],
            "emogpt": [lambda: {"messages": self.turns(*openai), "metadata": {"augmented": True, "source": self.text(), **self.extra(ROW_KEYS)}}],
            "emollm": [lambda: {"conversation": native}, lambda: {"conversations": self.turns(*sharegpt)},
                       lambda: {"query": self.content(), "response": self.content(), "history": [[self.content(), self.content()]]},
                       lambda: {"instruction": self.content(), "output": self.content()}],
        }  # fmt: skip
        return self.draw.choice(forms[converter])() | self.extra(ROW_KEYS)


def words_in(value: Any) -> set[str]:
    """Return the words in the texts of a value, at any depth."""
    if isinstance(value, dict):
        return set().union(*map(words_in, value.values()))
    return set().union(*map(words_in, value)) if isinstance(value, list) else set(WORD.findall(value)) if isinstance(value, str) else set()


def values_at(value: Any, path: list[str]) -> list[Any]:
    """Return the values at a path of keys, as unread keys are named: `messages[].name`."""
    if not path:
        return [value]
    if path[0] == "[]":
        return (
            [found for item in value if isinstance(value, list) for found in values_at(item, path[1:])] if isinstance(value, list) else []
        )
    return values_at(value[path[0]], path[1:]) if isinstance(value, dict) and path[0] in value else []
