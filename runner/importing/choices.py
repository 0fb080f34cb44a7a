"""Say how to write the choices of a question, as MMLU, ARC and MedQA have them, into the question."""

from typing import Any

from .columns import ASSISTANT, USER, Columns

_LETTERS = "ABCDEFGHIJ"
_KEYS = ("choices", "options", "endings")
_QUESTION = (*USER, "question_stem", "ctx", "sentence")


def hint_for_choices(rows: list[dict[str, Any]]) -> str:
    """Return the command that writes the rows' choices below their question; "" if they have none of a known form."""
    columns = Columns(rows)
    key, question = columns.named(_KEYS), columns.named(_QUESTION)
    listed = _lines(columns.values(key)[:1], f".{key}") if key else ""
    if not (key and question and listed and key.isidentifier() and question.isidentifier()):
        return ""
    answer = columns.named((*ASSISTANT, "label", "cop"), but=(key, question))
    letter = ""
    if isinstance(columns.values(key)[0], list) and answer and answer.isidentifier() and {*map(type, columns.values(answer))} == {int}:
        letter = f' | .{answer} = "{_LETTERS}"[.{answer}:.{answer} + 1]'  # the number of the choice
    filter_ = f'(arrays[], objects) | .{question} += "\\n\\n" + ([{listed}] | join("\\n")){letter} | del(.{key})'
    return f"write the choices below the question: jq -c '{filter_}' FILE > rows.jsonl"


def _lines(values: list[Any], path: str) -> str:
    """Return the filter of jq that gives a line for each choice: in a list, in an object by letter, in lists of texts and letters."""
    match values:
        case [[str(), *_] as texts] if all(text[:1] == _LETTERS[at : at + 1] and not text[1:2].isalnum() for at, text in enumerate(texts)):
            return f"{path}[]"  # each begins with its letter
        case [[str(), *_]]:
            return f'{path} | to_entries[] | "\\("{_LETTERS}"[.key:.key + 1]). \\(.value)"'
        case [{"text": list(), "label": list()}]:
            return f'[{path}.label, {path}.text] | transpose[] | join(". ")'
        case [dict() as texts] if texts and all(isinstance(text, str) for text in texts.values()):
            return f'{path} | to_entries[] | "\\(.key). \\(.value)"'
    return ""
