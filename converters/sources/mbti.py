"""MBTI types and the posts of their authors: the Kaggle dataset, its numbered form, and tables or JSON rows with the same two columns.

    type,posts
    INFJ,"'http://www.youtube.com/watch?v=x|||enfp and intj moments, a sportscenter of sorts|||What has been life-changing for you?'"

gives {"text": "1. http://www.youtube.com/watch?v=x\\n2. [TYPE] and [TYPE] moments...", "label": "INFJ"}. Three quarters of the rows name
their author's type, so a model would learn to copy it: words that begin with a type are masked. `meta.author` and `meta.posts` (hashes of
the longer posts) are for `group_by: [author, posts]`, because posts are repeated between rows.
"""

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Annotated, Any, Literal, get_args

from ...schemas.options import Positive, Text
from ..reading.contents import sniff
from ..reading.readers import Reader, Reads
from ..reading.records import Drop, NoAnswer, Record, Row
from .mbti_table import TableRow, read_posts

VERSION = 1
RECORD_TYPES = ("classification",)
STATELESS = True
SIGNATURES = ({"type", "posts"},)
ANSWER = {"classification": "type"}

Dimension = Literal["EI", "NS", "FT", "JP"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
_TYPE = re.compile("".join(f"[{letters}]" for letters in DIMENSIONS))
# At the start of a word (infj, INFJs, infj's, INFJness), or in capitals after a small letter (myINFJ). Matching the type first and what
# precedes it afterwards is twice as fast.
_TYPE_WORD = re.compile(
    _TYPE.pattern + r"(?:(?<![^\W\d_]....)|(?-i:(?<=[a-z][A-Z]{4})))(?:[^\W\d_]+|['’]s(?![^\W\d_]))?", re.IGNORECASE | re.DOTALL
)
_TELLING = 40


def INPUT(head: bytes) -> Reads | Reader:
    """Return `values`, or for a CSV a reader in which each line is a row, so that a broken row cannot swallow the next ones.

    A table without a column of types is read like any other table.
    """
    columns = {name.strip(b" \"'").lower() for name in re.split(rb"[,\t]", head.partition(b"\n")[0].strip())}
    has_no_type = not columns.isdisjoint((b"posts", b"text")) and columns.isdisjoint((b"type", b"label"))
    return read_posts if sniff(head) in ("csv", "tsv") and not has_no_type else "values"


def recognise_rows(rows: list[dict[str, Any]]) -> str:
    """Return why the rows come from this source: every label is a type."""
    labels = {str(row.get("label", row.get("type", ""))) for row in rows}
    return "labels are MBTI types" if labels and all(map(_TYPE.fullmatch, labels)) else ""


def recognise_text(head: bytes, suffixes: set[str]) -> str:
    """Return why a text comes from this source: it has the header of its table."""
    return "labels are MBTI types" if b"type,posts" in head else ""


def row_of_text(text: str, **options: Any) -> dict[str, Any]:
    """Return the row of an author whose type is not known."""
    return {"posts": text, "type": NoAnswer()}


def convert(
    rows: Iterable[Row],
    record_type: str = "classification",
    *,
    max_posts: Annotated[Positive | None, "Keep only this many posts of a row, from the first."] = None,
    dimension: Annotated[Dimension | None, "Label with one letter of the type instead of all four."] = None,
    numbered: Annotated[bool, "Number the posts: 1. ..., 2. ..."] = True,
    mask: Annotated[bool, "Replace words that name a type (INFJ, infjs, ENFP's), which reveal the label."] = True,
    mask_word: Annotated[Text, "Replacement."] = "[TYPE]",
) -> Iterator[Record | Drop]:
    """Yield one record per row. The label is the type, or its letter in `dimension` (E or I, N or S, F or T, J or P)."""
    for row in rows:
        label, text, repaired = _columns(row.value)
        if not isinstance(label, str) or not (isinstance(label, NoAnswer) or _TYPE.fullmatch(label := label.strip().upper())):
            yield Drop(row, "no_type", f"the type is {label!r:.40}")
            continue
        if not isinstance(text, str):
            yield Drop(row, "no_posts", f"the posts are {type(text).__name__}")
            continue
        posts, fixed = split_posts(text)
        if not posts:
            yield Drop(row, "no_posts", "every post is blank")
            continue
        posts = posts[:max_posts]
        meta = {"type": label, "author": _digest(text), "posts": [_digest(post) for post in posts if len(post) > _TELLING]}
        shown = [_TYPE_WORD.sub(lambda _: mask_word, post) for post in posts] if mask else posts
        if shown != posts:
            fixed.append("type_masked")
        lines = [f"{number}. {post}" for number, post in enumerate(shown, 1)] if numbered else shown
        wanted = label[DIMENSIONS.index(dimension)] if dimension and label else label
        yield Record(row, {"text": "\n".join(lines), "label": wanted}, meta, (*repaired, *fixed))


def split_posts(text: str) -> tuple[list[str], list[str]]:
    """Return a row's posts, without the apostrophes around the row and without blank ones, and what was repaired.

    The raw form separates posts by |||. In the numbered form, cut to the first posts, only the opening apostrophe may be left.
    """
    fixed = []
    posts = _numbered(text)
    if posts:
        quoted = posts[0].startswith("'")
        if quoted:
            posts = [posts[0][1:], *posts[1:]]
            posts[-1] = posts[-1].removesuffix("'")
    else:
        text = text.strip()
        quoted = len(text) > 1 and text[0] == text[-1] == "'"
        posts = (text[1:-1] if quoted else text).split("|||")
    if quoted:
        fixed.append("apostrophes_removed")
    found = [post for part in posts if (post := part.strip())]
    if 0 < len(found) < len(posts):
        fixed.append("blank_posts_removed")
    return found, fixed


def _numbered(text: str) -> list[str]:
    """Return the posts of "1. ...\\n2. ..."; [] for another form. A line without the next number belongs to the current post."""
    posts: list[str] = []
    for line in text.split("\n"):
        start = f"{len(posts) + 1}."
        if line.startswith(f"{start} ") or line == start:
            posts.append(line[len(start) + 1 :])
        elif posts:
            posts[-1] += f"\n{line}"
        else:
            return []
    return posts


def _columns(value: Any) -> TableRow | tuple[Any, Any, tuple[str, ...]]:
    if isinstance(value, TableRow):
        return value
    if not isinstance(value, dict):
        return None, None, ()
    return value.get("type", value.get("label")), value.get("posts", value.get("text")), ()


def _digest(text: str) -> str:
    return blake2b(text.strip().encode(), digest_size=8).hexdigest()
