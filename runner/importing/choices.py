"""Say how to write the choices of a question, as MMLU, ARC and MedQA have them, into the question."""

from string import ascii_uppercase
from typing import Any

from .columns import ASSISTANT, USER, Columns
from .jq import command, step

_KEYS = ("choices", "options", "endings")
_QUESTION = (*USER, "question_stem", "ctx", "sentence")


def hint_for_choices(rows: list[dict[str, Any]]) -> str:
    """Return the command that writes the rows' choices below their question; "" if they have none of a known form."""
    columns = Columns(rows)
    key, question = columns.named(_KEYS), columns.named(_QUESTION)
    listed = _lines(columns.values(key)[:1], f".{step(key)}") if key else ""
    if not (key and question and listed):
        return ""
    answer = columns.named((*ASSISTANT, "label", "cop"), but=(key, question))
    letter = _letter(columns.values(key), columns.values(answer), step(answer)) if answer else ""
    filter_ = f'(arrays[], objects) | .{step(question)} += "\\n\\n" + ([{listed}] | join("\\n")){letter} | del(.{step(key)})'
    return f"write the choices below the question: {command(filter_, 'FILE', 'rows.jsonl')}"


def _letter(choices: list[Any], answers: list[Any], path: str) -> str:
    """Return the filter that writes an answer which is the number of a choice, from 0 or from 1, as its letter; "" for other answers."""
    are_numbers = bool(answers) and all(type(answer) is int or str(answer).isdecimal() for answer in answers)
    if not are_numbers or not all(isinstance(texts, list) for texts in choices):
        return ""
    if {*answers} <= {text for texts in choices for text in texts if isinstance(text, str)}:
        return ""  # they are the choices themselves
    place = ". - 1:." if max(map(int, answers)) >= max(map(len, choices)) else ".:. + 1"
    return f' | .{path} |= (tonumber | "{ascii_uppercase}"[{place}])'


def _lines(values: list[Any], path: str) -> str:
    """Return the filter of jq that gives a line for each choice: in a list, in an object by letter, in lists of texts and letters."""
    match values:
        case [[str(), *_] as texts] if all(
            text[:1] == ascii_uppercase[at : at + 1] and not text[1:2].isalnum() for at, text in enumerate(texts)
        ):
            return f"{path}[]"  # each begins with its letter
        case [[str(), *_] as texts] if len(texts) <= len(ascii_uppercase):
            return f'{path} | to_entries[] | "\\("{ascii_uppercase}"[.key:.key + 1]). \\(.value)"'
        case [{"text": list(), "label": list()}]:
            return f'[{path}.label, {path}.text] | transpose[] | join(". ")'
        case [dict() as texts] if texts and all(isinstance(text, str) for text in texts.values()):
            return f'{path} | to_entries[] | "\\(.key). \\(.value)"'
    return ""
