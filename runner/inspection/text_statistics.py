"""Gather lengths, roles, scripts and languages of a stream of rows."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

from ...schemas.base.errors import UserError
from ...schemas.sections import RecordType
from .distributions import Distribution, Tally

ANSWERS = 50  # chats with at most this many different last replies answer from a list, like a classifier
ANSWER_LENGTH = 60
AS_TRAINED = "row as trained"  # with the chat template and special tokens


class TextFacts:
    """Facts about valid records of one type. `encode` returns a text's tokens, `row_ids` the tokens of a record as trained, if known; with
    `languages` each row's language is detected."""

    def __init__(
        self,
        kind: RecordType,
        encode: Callable[[str], list[int]],
        languages: bool,
        row_ids: Callable[[dict[str, Any]], list[int]] | None = None,
    ) -> None:
        self.kind: RecordType = kind
        self.encode = encode
        self.row_ids = row_ids
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
        if self.row_ids:
            self.tokens.setdefault(AS_TRAINED, Distribution()).add(len(self.row_ids(fields)))
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
            self.trained[f"{message['role']}, {'not marked' if marked is None else 'trained' if marked else 'not trained'}"] += 1
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
    """Return the order of the roles: `system, 3 x (user, assistant)`; an irregular order is written out."""
    rest = roles[1:] if roles[0] == "system" else roles
    turns, odd = divmod(len(rest), 2)
    if odd or rest != ["user", "assistant"] * turns:
        return ", ".join(roles)
    return ("system, " if len(rest) < len(roles) else "") + f"{turns} x (user, assistant)"


HOW_SCRIPTS = "letters by Unicode block; a row's script is that of most of its letters; emoji are counted separately"
HOW_LANGUAGES = "py3langid on the row's text (its first 200 characters); not for rows with fewer than 10 letters"
LETTERS_NEEDED = 10
_READ = 200  # ten times as many are hardly more accurate, and take ten times as long

# (first code point, name of the script); "" for non-letters. A block ends where the next one starts.
_BLOCKS = [
    (0x0000, ""), (0x0041, "Latin"), (0x005B, ""), (0x0061, "Latin"), (0x007B, ""), (0x00AA, "Latin"), (0x00AB, ""), (0x00BA, "Latin"),
    (0x00BB, ""), (0x00C0, "Latin"), (0x00D7, ""), (0x00D8, "Latin"), (0x00F7, ""), (0x00F8, "Latin"), (0x0250, "Latin"), (0x02B0, ""),
    (0x0370, "Greek"), (0x0400, "Cyrillic"), (0x0530, "Armenian"), (0x0590, "Hebrew"), (0x0600, "Arabic"), (0x0700, "other"),
    (0x0900, "Devanagari"), (0x0980, "Bengali"), (0x0A00, "other"), (0x0B80, "Tamil"), (0x0C00, "Telugu"), (0x0C80, "other"),
    (0x0E00, "Thai"), (0x0E80, "other"), (0x10A0, "Georgian"), (0x1100, "Hangul"), (0x1200, "Ethiopic"), (0x1380, "other"),
    (0x1780, "Khmer"), (0x1800, "other"), (0x1E00, "Latin"), (0x1F00, "Greek"), (0x2000, ""), (0x2600, "emoji"), (0x27C0, ""),
    (0x2C60, "Latin"), (0x2C80, "other"), (0x2E00, ""), (0x2E80, "Han"), (0x2FF0, ""), (0x3005, "Han"), (0x3008, ""), (0x3041, "Kana"),
    (0x3100, "Han"), (0x3130, "Hangul"), (0x3190, ""), (0x31F0, "Kana"), (0x3200, ""), (0x3400, "Han"), (0x4DC0, ""), (0x4E00, "Han"),
    (0xA000, "other"), (0xA720, "Latin"), (0xA800, "other"), (0xAC00, "Hangul"), (0xD800, ""), (0xF900, "Han"), (0xFB00, "Latin"),
    (0xFB1D, "Hebrew"), (0xFB50, "Arabic"), (0xFE00, ""), (0xFE70, "Arabic"), (0xFEFF, ""), (0xFF21, "Latin"), (0xFF3B, ""),
    (0xFF41, "Latin"), (0xFF5B, ""), (0xFF66, "Kana"), (0xFFA0, "Hangul"), (0xFFE0, ""), (0x10000, "other"), (0x1F000, "emoji"),
    (0x20000, "Han"), (0x323B0, ""),
]  # fmt: skip
_STARTS = [start for start, _ in _BLOCKS]


@cache
def script_of(character: str) -> str:
    """Return the script of a character; "" for non-letters: digits, punctuation, white space, symbols."""
    name = _BLOCKS[bisect_right(_STARTS, ord(character)) - 1][1]
    return name if name in ("", "emoji") or character.isalpha() else ""


def scripts(text: str) -> Counter[str]:
    """Return the number of letters of each script in the text, and of emoji."""
    found: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if name := script_of(character):
            found[name] += count
    return found


def main_script(found: Counter[str]) -> str:
    """Return the script of most letters: Chinese with a Latin name in it is Han. "none" without letters."""
    letters = [(count, name) for name, count in found.items() if name != "emoji"]
    if not letters:
        return "none"
    most = max(letters)[1]
    return "Han and Kana" if most in ("Han", "Kana") and found["Han"] and found["Kana"] else most


def language(text: str, found: Counter[str]) -> str:
    """Return the language's code (ISO 639), or "too short"."""
    if found.total() - found["emoji"] < LETTERS_NEEDED:
        return "too short"
    return _classifier()(text[:_READ])[0]


@cache
def _classifier() -> Any:
    try:
        import py3langid
    except ImportError:
        raise UserError(
            "detecting languages needs the package py3langid", hint="pip install 'recipekit[data]', or --no-languages"
        ) from None
    return py3langid.classify
