"""Rows of any table or JSON, with columns named by the recipe.

    classification: {"review": "Great fun for the whole family.", "stars": 5}
    chat:           {"question": "What is the capital of France?", "answer": "Paris."}
    text:           {"title": "Rain", "body": "It rained for three days."}

A column is named by its key, or a template joins several: `{title}\\n\\n{body}`, or `<think>\\n{thoughts}\\n</think>\\n\\n{answer}` where
the reasoning before an answer has a column of its own. In nested rows a path names the value: `data.text`,
`annotations[].value.choices[]`. Where its lists hold different values, the row is dropped; an item with `was_cancelled: true`, as Label
Studio marks a skipped annotation, is not read, nor a response that Argilla calls discarded or a draft. A numeric label is written
as text, or as the name that `label_names` gives it.

`keep_rows` leaves out what annotators refused: `keep_rows: {answer: [accept]}` for rows of Prodigy.
"""

import re
from collections.abc import Iterable, Iterator
from struct import pack, unpack
from typing import Annotated, Any

from ...schemas.options import Keyword, Text, only_for
from ..reading.records import Drop, NoAnswer, Record, RecordValue, Row
from .alpaca import missing_keys
from .key_paths import NoValue, first_key, is_path, value_at
from .turns import chat_messages

VERSION = 5
RECORD_TYPES = ("classification", "chat", "text")
INPUT = "values"
STATELESS = True
ANSWER = {"classification": "label_key", "chat": "assistant_key"}
Template = Annotated[Text | None, Keyword("pattern", r"\{[^{}]+\}")]
_LARGEST = 3e38  # of 32 bits
_PLACE = re.compile(r"\{([^{}]+)\}")


def row_of_text(text: str, **options: Any) -> dict[str, Any] | None:
    """Return the row of a text without a label; None if a template makes it of columns."""
    if options.get("text_template"):
        return None
    return {options.get("text_key", "text"): text, options.get("label_key", "label"): NoAnswer()}


def convert(
    rows: Iterable[Row],
    record_type: str = "classification",
    *,
    text_key: Annotated[Text, only_for("classification", "text"), "The column of the text."] = "text",
    text_template: Annotated[
        Template, only_for("classification", "text"), "Template of the text, with `{column}` for each column; replaces text_key."
    ] = None,
    label_key: Annotated[Text, only_for("classification"), "The column of the label."] = "label",
    label_names: Annotated[
        dict[str, Text] | None,
        Keyword("minProperties", 1),
        only_for("classification"),
        "Names for the values of the label column; a row with another value is dropped. Default: the values themselves.",
    ] = None,
    user_key: Annotated[Text, only_for("chat"), "The column of the question."] = "user",
    user_template: Annotated[
        Template, only_for("chat"), "Template of the question, with `{column}` for each column; replaces user_key."
    ] = None,
    assistant_key: Annotated[Text, only_for("chat"), "The column of the answer."] = "assistant",
    assistant_template: Annotated[
        Template,
        only_for("chat"),
        "Template of the answer, with `{column}` for assistant_key and for other columns, such as the reasoning before it.",
    ] = None,
    system_key: Annotated[
        Text | None, only_for("chat"), "Column of the system message; an empty cell means none. Default: no system message."
    ] = None,
    keep_rows: Annotated[
        dict[str, list[str]] | None,
        Keyword("minProperties", 1),
        "Values of columns, such as `answer: [accept]`: rows with another value there, or with none, are left out.",
    ] = None,
    keep_meta: Annotated[Iterable[str], "Columns to keep in meta."] = (),
) -> Iterator[Record | Drop]:
    """Yield one record per row."""
    kept = tuple(keep_meta)
    given_key, template = (user_key, user_template) if record_type == "chat" else (text_key, text_template)
    other = {"chat": [assistant_key, *([system_key] if system_key else [])], "classification": [label_key], "text": []}[record_type]
    asked, answered = _PLACE.findall(template or ""), _PLACE.findall(assistant_template or "")
    needed = [*(asked or [given_key]), *other, *answered]
    names, are_nested = label_names or {}, any(map(is_path, needed))
    for row in rows:
        value = _cells(row, needed, keep_rows or {}, are_nested, answered)
        if isinstance(value, Drop):
            yield value
            continue
        if drop := _not_for_templates(row, value, asked, answered, assistant_key):
            yield drop
            continue
        fields: RecordValue = {"text": _filled(template, value) if template else value[given_key]}
        if record_type == "chat":
            answer = _answer(value, assistant_key, assistant_template)
            fields = {"messages": chat_messages([(fields["text"], answer)], value[system_key] if system_key else None)}
        elif record_type == "classification":
            label = label_text(value[label_key])
            if names and label not in (None, "") and not isinstance(label, NoAnswer) and str(label) not in names:
                yield Drop(row, "label_not_named", f"label_names has no {label!r:.40}")
                continue
            fields["label"] = names.get(label, label) if isinstance(label, str) else label
        yield Record(row, fields, {key: row.value[key] for key in kept if key in row.value})


def _cells(row: Row, needed: list[str], keep_rows: dict[str, list[str]], are_nested: bool, of_answer: list[str]) -> dict[str, Any] | Drop:
    """Return the cells of these columns, or a drop for a row that is left out or lacks one. A row without an answer, which is to be
    predicted, may lack those `of_answer`."""
    if of_answer and isinstance(row.value, dict) and any(isinstance(cell, NoAnswer) for cell in dict.values(row.value)):
        needed = [name for name in needed if name not in of_answer or first_key(row.value, name) in row.value]
    try:
        for column in keep_rows if isinstance(row.value, dict) else ():
            cell = label_text(value_at(row.value, column))
            if cell not in keep_rows[column]:
                return Drop(row, f"other_{column}", f"{column!r} is {cell!r:.40}", filtered=True)
        if missing := missing_keys(row.value, *([first_key(row.value, name) for name in needed] if are_nested else needed)):
            return Drop(row, "missing_key", missing)
        return {name: value_at(row.value, name) for name in needed} if are_nested else row.value
    except NoValue as why:
        return Drop(row, why.reason, str(why), filtered=why.filtered)


def _not_for_templates(row: Row, value: dict[str, Any], asked: list[str], answered: list[str], assistant_key: str) -> Drop | None:
    """Return a drop if the columns `asked` and `answered` of the two templates leave out the answer, or are not texts; None if not."""
    if answered and assistant_key not in answered:
        return Drop(row, "answer_not_in_template", f"assistant_template has no {{{assistant_key}}}")
    if column := next((name for name in (*asked, *answered) if isinstance(value.get(name), list | dict)), None):
        return Drop(row, "column_not_text", f"{column!r} is a list or an object: a template takes texts and numbers")
    return None


def _answer(value: dict[str, Any], key: str, template: str | None) -> Any:
    """Return the row's answer, in the template if it has one. A blank one is returned unchanged, to be refused, and so is a missing one."""
    answer = value[key]
    return answer if not template or isinstance(answer, NoAnswer) or not str(answer or "").strip() else _filled(template, value)


def _filled(template: str, value: dict[str, Any]) -> str:
    """Fill the template with the row's cells; a null is empty, and blank lines at the ends are removed."""
    return _PLACE.sub(lambda place: "" if value[place[1]] is None else str(value[place[1]]), template).strip()


def label_text(label: Any) -> Any:
    """Return a number or truth value as text (3.0 as 3, because tables write integers as floats in columns with missing values); others
    unchanged."""
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, int):
        return str(label)
    return _shortest(label) if isinstance(label, float) and label == label else label


def _shortest(number: float) -> str:
    """Return a number in the fewest digits that give it back: those of a Parquet file may have 32 bits, in which 0.1 is 0.10000000149."""
    for digits in () if number.is_integer() or abs(number) > _LARGEST else (6, 7, 8, 9):
        if (text := f"{number:.{digits}g}") and _in_32_bits(float(text)) == number:
            return text
    return f"{number:.15g}"


def _in_32_bits(number: float) -> float:
    return unpack("f", pack("f", number))[0]
