"""What a tokenizer reads otherwise than as the words of a text.

It has no token for some, takes others for control tokens, and changes many: capitals become small, full-width characters others, a line
break a blank. The model reads, and learns to write, what the tokens spell.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple
from unicodedata import normalize

WORDS_SHOWN = 8
Row = tuple[str, str, Sequence[int]]  # id, text, its tokens


def text_notes(tokenizer: Any, rows: Iterable[Row], cut: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Return what tokens.json says of texts or labelled texts that the tokenizer reads otherwise than as words. Rows that were `cut` are
    not compared with their texts."""
    rows = [*rows]
    changes = {name: found for name, text, ids in rows if name not in cut and (found := misread(tokenizer, text, ids))}
    unknown = unknown_words(tokenizer, rows) | {name: [found.word] for name, found in changes.items() if found.vanishes}
    return {
        "unknown_words": unknown,
        "misread_rows": {name: str(found) for name, found in changes.items() if not found.vanishes},
        "injected_token_rows": control_tokens(tokenizer, rows),
    }


def control_tokens(tokenizer: Any, rows: Iterable[Row]) -> dict[str, str]:
    """Return the ids of rows with a special token of the model within their text, with the first one: the model reads it as the end of the
    text, as padding or the like. At its beginning and end a text may have those that begin and end one, as `document_ids` knows."""
    begins, ends = (f"(?:{re.escape(token)})?" if token else "" for token in (tokenizer.bos_token, tokenizer.eos_token))
    whole = re.compile(rf"\s*{begins}(.*?){ends}\s*", re.DOTALL)
    special = any_of(tokenizer.all_special_tokens)
    return {name: found.group() for name, text, _ in rows if (inner := whole.fullmatch(text)) and (found := special.search(inner[1]))}


def any_of(tokens: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that finds each of the tokens, the longest of those that begin alike; blank ones are in any text."""
    return re.compile("|".join(map(re.escape, sorted(filter(str.strip, tokens), key=len, reverse=True))) or r"(?!)")


def unknown_words(tokenizer: Any, rows: Iterable[Row]) -> dict[str, list[str]]:
    """Return the ids of rows whose tokens have an unknown one, with the first words that it replaces."""
    unknown, found = getattr(tokenizer, "unk_token_id", None), {}
    for name, text, ids in rows:
        if unknown is not None and unknown in ids:
            encoded = tokenizer(text, return_offsets_mapping=tokenizer.is_fast, verbose=False)
            places = zip(encoded["input_ids"], encoded.get("offset_mapping") or [(0, 0)] * len(encoded["input_ids"]), strict=True)
            words = [text[start:end] for number, (start, end) in places if number == unknown and text[start:end] != tokenizer.unk_token]
            if words:
                found[name] = words[:WORDS_SHOWN]
    return found


class Misread(NamedTuple):
    """A word of a text, or a line break, and what its tokens spell."""

    word: str
    read: str

    @property
    def vanishes(self) -> bool:
        """Return whether characters of the word have no token at all."""
        return len(_without_space(self.read)) < len(_without_space(self.word))

    def __str__(self) -> str:
        """Return it in words: 'Hello' as 'hello'."""
        return f"{self.word!r} as {self.read!r}"


def misread(tokenizer: Any, text: str, ids: Sequence[int]) -> Misread | None:
    """Return the first word that the text's tokens spell otherwise; None if they spell the whole text.

    White space is compared by its line breaks alone, since many tokenizers write a blank before each word; Unicode forms of one character
    are equal. A row with unknown tokens is not compared: its words are named as such.
    """
    unknown = getattr(tokenizer, "unk_token_id", None)
    if unknown is not None and unknown in ids:
        return None
    special = any_of(tokenizer.all_special_tokens)
    given, read = (normalize("NFC", special.sub("", part)) for part in (text, _spelled(tokenizer, ids)))
    spelled, at = _without_space(read), 0
    for word in given.split():
        if not spelled.startswith(word, at):
            return _alone(tokenizer, word)
        at += len(word)
    return _alone(tokenizer, "\n") if read.strip().count("\n") < given.strip().count("\n") else None


def _alone(tokenizer: Any, word: str) -> Misread:
    return Misread(word, _spelled(tokenizer, tokenizer(word, add_special_tokens=False, verbose=False)["input_ids"]))


def _spelled(tokenizer: Any, ids: Sequence[int]) -> str:
    return tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)


def _without_space(text: str) -> str:
    return "".join(text.split())
