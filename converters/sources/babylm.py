"""BabyLM texts, and the stories generated from them.

    a line of a .train file:  do you think we should go to the bookstore and look for that book ?
    a row of a pickle:        {"source": "data/babylm_100M/aochildes.train", "text": "do you think we should go to the bookstore...?",
                               "emotion": "curiosity, neutral", "augmented_text": "Once upon a time, there was a young girl named Lily..."}
    a row of the labels' CSV: source,text,label_0,score_0,label_1,score_1,...  (7 or 28 labels; a story's row may have them, too)

Lines and the CSV's texts follow the source's line rules: no spaces before punctuation, more than ten words. The source deleted tabs and
line ends, which joined words; here they become spaces. A pickle's row whose text is None holds a whole file: it becomes records of at
most `chunk_words` words. `meta.source_text` is for `group_by`: one text was made into several stories.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from ...schemas.base.counted import counted
from ...schemas.options import Positive, Share
from ..reading.contents import sniff
from ..reading.readers import Reads
from ..reading.records import Drop, Record, Row

VERSION = 2
RECORD_TYPES = ("text",)
STATELESS = True
SIGNATURES = ({"text", "label_0", "score_0"}, {"text", "emotion", "augmented_text"})
UNUSED_KEYS = ("emotion",)  # of a labelled text: its labels in one string
OPTIONAL_META = ("source_text",)  # lines of a corpus have no source text, but a recipe may group by it

_BEFORE_MARK = re.compile(r"\s+(?=[.,!?;:])")
_GAP = re.compile(r"[\t\r\n]+")
_WORD = re.compile(r"\S+")
_LABELLED = re.compile(rb"(\xef\xbb\xbf)?source,text,label_0,score_0\b")
_JSON = re.compile(rb"(\xef\xbb\xbf)?\s*(\[\s*)?\{\s*\"")


def INPUT(head: bytes) -> Reads:
    """Return `lines` for text, and `values` for pickles, the labels' CSV and JSON rows."""
    return "values" if _LABELLED.match(head) or _JSON.match(head) or sniff(head) not in ("csv", "tsv", "json", "jsonl") else "lines"


def recognise_text(head: bytes, suffixes: set[str]) -> str:
    """Return why text files come from this source: their suffixes are those of its corpora."""
    return "a BabyLM corpus, by its suffix" if suffixes <= {".train", ".dev", ".test"} else ""


def convert(
    rows: Iterable[Row],
    record_type: str = "text",
    *,
    min_words: Annotated[Positive, "Drop lines and labelled texts with fewer words."] = 11,
    chunk_words: Annotated[Positive, "The maximum number of words in a record cut from a whole file."] = 300,
    emotional_only: Annotated[bool, "Drop labelled texts whose first label is neutral or not above min_score."] = True,
    min_score: Annotated[Share, "A label counts if its score is greater than this."] = 0.5,
    keep_meta: Annotated[Iterable[str], "Keys of a story's row to keep in meta."] = (),
) -> Iterator[Record | Drop]:
    """Yield one record per line, story or labelled text; several for a whole file."""
    kept = tuple(keep_meta)
    for row in rows:
        value = row.value
        if isinstance(value, str):
            yield _line(row, value, {}, min_words)
        elif isinstance(value, dict) and "augmented_text" in value:
            yield from _stories(row, chunk_words, kept)
        elif isinstance(value, dict) and "label_0" in value:
            yield _labelled(row, min_words, emotional_only, min_score)
        else:
            yield Drop(row, "no_text", "expected a line, an object with augmented_text, or a row with label_0 and score_0")


def clean_line(text: str) -> str:
    """Clean a line like the source's line_processor, but replace tabs and line ends by a space instead of deleting them."""
    return _BEFORE_MARK.sub("", _GAP.sub(" ", text)).strip()


def _line(row: Row, text: str, meta: dict[str, Any], min_words: int) -> Record | Drop:
    cleaned = clean_line(text)
    if not cleaned:
        return Drop(row, "blank", filtered=True)
    if (count := len(cleaned.split())) < min_words:
        return Drop(row, "too_short", f"{counted(count, 'word')}, at least {min_words} required", filtered=True)
    return Record(row, {"text": cleaned}, meta, ("line_cleaned",) if cleaned != text else ())


def _stories(row: Row, chunk_words: int, kept: tuple[str, ...]) -> Iterator[Record | Drop]:
    value = row.value
    story, text, emotion = value["augmented_text"], value.get("text"), value.get("emotion")
    if not isinstance(story, str) or not story.strip():
        yield Drop(row, "no_text", "augmented_text is missing or blank")
        return
    meta: dict[str, Any] = {"source": value.get("source"), **{key: value[key] for key in kept if key in value}}
    if text is None:
        for number, chunk in enumerate(chunks(story, chunk_words), 1):
            yield Record(row, {"text": chunk}, {**meta, "chunk": number}, ("chunked",))
        return
    scores = _scores(row)
    if isinstance(scores, Drop):
        yield scores
        return
    meta |= {"score": max(scores.values())} if scores else {}
    meta |= {"emotion": [part.strip() for part in emotion.split(",")] if isinstance(emotion, str) else [], "source_text": text}
    if isinstance(value.get("kwargs"), dict):
        meta["generation"] = value["kwargs"]
    yield Record(row, {"text": story}, meta)


def chunks(text: str, words: int) -> Iterator[str]:
    """Yield the text in pieces of at most `words` words, unchanged between the first and last word of each."""
    start, end, count = 0, 0, 0
    for word in _WORD.finditer(text):
        if count == words:
            yield text[start:end]
            count = 0
        if not count:
            start = word.start()
        end = word.end()
        count += 1
    if count:
        yield text[start:end]


def _scores(row: Row) -> dict[str, float] | Drop:
    """Return the labels of a row with their scores; {} for a row without labels."""
    value = row.value
    try:
        return {value[f"label_{n}"]: float(value[f"score_{n}"]) for n in range(len(value)) if f"label_{n}" in value}
    except (KeyError, TypeError, ValueError) as error:
        return Drop(row, "bad_score", f"labels and scores do not match: {error}")


def _labelled(row: Row, min_words: int, emotional_only: bool, min_score: float) -> Record | Drop:
    value = row.value
    scores = _scores(row)
    if isinstance(scores, Drop):
        return scores
    text, top = value.get("text"), max(scores, key=lambda label: scores[label])
    if not isinstance(text, str):
        return Drop(row, "no_text", "text is missing")
    if emotional_only and top == "neutral":
        return Drop(row, "neutral", filtered=True)
    if emotional_only and not scores[top] > min_score:
        return Drop(row, "low_score", f"{top} {scores[top]:.3f}, more than {min_score} required", filtered=True)
    emotion = [label for label in sorted(scores, key=lambda label: -scores[label]) if scores[label] > min_score]
    meta = {"source": value.get("source"), "emotion": emotion, "score": scores[top], "source_text": text}
    return _line(row, text, meta, min_words)
