"""Lengths, roles and writing of the rows, as they stream by."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from ...schemas.sections import RecordType
from .distributions import Distribution, Tally
from .scripts import language, main_script, scripts

ANSWERS = 50  # a chat whose last replies are no more than so many different ones answers from a list, as a classifier does
ANSWER_LENGTH = 60


class TextFacts:
    """Facts of valid records of one type. `encode` gives a text's tokens; with `languages` each row's language is told."""

    def __init__(self, kind: RecordType, encode: Callable[[str], list[int]], languages: bool) -> None:
        self.kind: RecordType = kind
        self.encode = encode
        self.languages = Tally() if languages else None
        self.characters: dict[str, Distribution] = {"row": Distribution()}
        self.tokens: dict[str, Distribution] = {"row": Distribution()}
        self.messages = Distribution()
        self.shapes = Tally()
        self.trained: Counter[str] = Counter()
        self.letters: Counter[str] = Counter()
        self.scripts = Tally()
        self.answers: Counter[str] | None = Counter() if kind == "chat" else None

    def add(self, fields: dict[str, Any]) -> None:
        """Count a record's fields."""
        parts = [(m["role"], m["content"]) for m in fields["messages"]] if self.kind == "chat" else [("row", fields["text"])]
        lengths = [(role, len(content), len(self.encode(content))) for role, content in parts]
        if self.kind == "chat":
            self._chat(fields["messages"], lengths)
        self.characters["row"].add(sum(count for _, count, _ in lengths))
        self.tokens["row"].add(sum(count for _, _, count in lengths))
        text = "\n".join(content for role, content in parts if role != "system")
        found = scripts(text)
        self.letters.update(found)
        self.scripts.add(main_script(found))
        if self.languages:
            self.languages.add(language(text, found))

    def _chat(self, messages: list[dict[str, Any]], lengths: list[tuple[str, int, int]]) -> None:
        for role, characters, tokens in lengths:
            self.characters.setdefault(role, Distribution()).add(characters)
            self.tokens.setdefault(role, Distribution()).add(tokens)
        self.messages.add(len(messages))
        self.shapes.add(shape([message["role"] for message in messages]))
        for message in messages:
            marked = message.get("train")
            self.trained[f"{message['role']}, {'not said' if marked is None else 'trained' if marked else 'not trained'}"] += 1
        if self.answers is not None:
            answer = messages[-1]["content"]
            self.answers[answer] += 1
            if len(self.answers) > ANSWERS or len(answer) > ANSWER_LENGTH:
                self.answers = None

    def as_json(self) -> dict[str, Any]:
        lengths = {
            "characters": {part: found.as_json() for part, found in self.characters.items()},
            "tokens": {part: found.as_json() for part, found in self.tokens.items()},
        }
        writing: dict[str, Any] = {"letters": dict(self.letters.most_common()), "scripts": self.scripts.as_json()}
        if self.languages:
            writing["languages"] = self.languages.as_json()
        if self.kind != "chat":
            return {"lengths": lengths, **writing}
        roles = {role: found.total for role, found in self.characters.items() if role != "row"}
        chat = {"messages": self.messages.as_json(), "roles": roles, "marks": dict(self.trained.most_common())}
        chat |= {"shapes": self.shapes.as_json(20), "answers": dict(self.answers.most_common()) if self.answers else None}
        return {"lengths": lengths, "chat": chat, **writing}


def shape(roles: list[str]) -> str:
    """The order of the roles: `system, 3 x (user, assistant)`; what does not repeat is written out."""
    rest = roles[1:] if roles[0] == "system" else roles
    turns, odd = divmod(len(rest), 2)
    if odd or rest != ["user", "assistant"] * turns:
        return ", ".join(roles)
    return ("system, " if len(rest) < len(roles) else "") + f"{turns} x (user, assistant)"
