"""Recognise text files whose names say what their lines are: the label of each, or the two sides of translations or questions."""

import re
import shlex
from pathlib import Path

from ...converters.reading.files import SourceFile
from ...schemas.base.errors import Problem, UserError

_SIDES = (
    ("src", "tgt"), ("source", "target"), ("input", "output"), ("inputs", "outputs"), ("question", "answer"), ("questions", "answers"),
    ("prompt", "response"), ("prompts", "responses"), ("context", "response"), ("text", "summary"), ("document", "summary"),
)  # fmt: skip
_LABELS = {"pos", "neg", "positive", "negative", "neutral", "spam", "ham", "toxic", "nontoxic", "sarcastic", "formal", "informal", "joy",
           "sadness", "anger", "fear", "surprise", "disgust", "happy", "sad"}  # fmt: skip
_FEWEST = 3  # lines: fewer are a text of one paragraph
_NO_LANGUAGE = (".txt", ".md", ".text")


def refuse_texts_of_lines(files: list[SourceFile], path: str) -> None:
    """Raise UserError for files that are lists of texts: those of one label, or one side of pairs. Each would be one document."""
    texts = [file.path for file in files]
    labels = [words[0] for text in texts if len(words := sorted(_words(text) & _LABELS)) == 1]
    if not 1 < len(texts) <= len(_LABELS) or any(_lines(text) < _FEWEST for text in texts):
        return
    if len({*labels}) == len(texts):
        named = " ".join(f"{label}={shlex.quote(text.name)}" for label, text in zip(labels, texts, strict=True))
        command = f'for f in {named}; do sed "s/\\t/ /g; s/^/${{f%%=*}}\\t/" "${{f#*=}}"; done > rows.tsv'
        what, columns = "holds lists of texts whose names are their labels", "--column label --column text"
    elif len(texts) == 2 and _lines(texts[0]) == _lines(texts[1]) and (sides := _sides(*texts)):
        command = f"paste {' '.join(shlex.quote(side.name) for side in sides)} > rows.tsv"
        what, columns = "holds two texts that belong together line by line", "--column question --column answer"
    else:
        return
    what += f": {' and '.join(text.name for text in texts)}"
    hint = f"write them as a table without a header, and name its columns: {command}; recipe new NAME --data rows.tsv {columns}"
    raise UserError(Problem(path, what, f"{hint}. A glob with one of the files reads it as text", "unknown-data"))


def _sides(one: Path, other: Path) -> tuple[Path, Path] | None:
    """Return the file of what is asked or translated, and that of its answers; None where the names do not say that they are pairs."""
    for first, second in _SIDES:
        for asked, answered in ((one, other), (other, one)):
            if first in _words(asked) and second in _words(answered):
                return asked, answered
    are_languages = one.stem == other.stem and not {one.suffix, other.suffix} & {*_NO_LANGUAGE, ""}
    return (one, other) if are_languages else None


def _words(path: Path) -> set[str]:
    return {*re.split(r"[^a-z]+", path.name.lower())}


def _lines(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(bool(line.strip()) for line in stream)
