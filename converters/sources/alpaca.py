"""Alpaca rows: an instruction, an optional input, the output, and LLaMA-Factory's `system` and `history`.

    {"instruction": "Name the emotion.", "input": "I can't wait for Friday!", "output": "Anticipation"}

The question is a template over instruction and input; with a blank input, the template without one is used.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from ...schemas.options import Text, template
from ..reading.records import Drop, Record, Row
from .turns import chat_messages, fill, history_pairs

VERSION = 2
RECORD_TYPES = ("chat",)
INPUT = "values"
STATELESS = True
ANSWER = {"chat": "output_key"}

NO_INPUT = ("<noinput>", "<no input>", "noinput", "no input", "nan")  # what self-instruct and pandas write in the place of an input
WITH_INPUT = "{instruction}\n\n{input}"
WITHOUT_INPUT = "{instruction}"


def convert(
    rows: Iterable[Row],
    record_type: str = "chat",
    *,
    instruction_key: Annotated[Text, "The key of the instruction."] = "instruction",
    input_key: Annotated[Text, "The key of the input."] = "input",
    output_key: Annotated[Text, "The key of the output."] = "output",
    with_input: Annotated[Text, template("instruction", "input"), "How `{instruction}` and `{input}` make a question."] = WITH_INPUT,
    without_input: Annotated[Text, template("instruction"), "How `{instruction}` makes a question if the input is blank."] = WITHOUT_INPUT,
    keep_meta: Annotated[Iterable[str], "Keys of the row to keep in meta."] = (),
) -> Iterator[Record | Drop]:
    """Yield one chat record per row."""
    kept = tuple(keep_meta)
    for row in rows:
        value = row.value
        if missing := missing_keys(value, instruction_key, output_key):
            yield Drop(row, "missing_key", missing)
            continue
        if (history := history_pairs(value.get("history"))) is None:
            yield Drop(row, "unknown_history", "expected a list of [question, answer]")
            continue
        given, fixed = value.get(input_key), ()
        if isinstance(given, str) and given.strip().lower() in NO_INPUT:
            given, fixed = None, ("no_input_removed",)
        question = prompt(value[instruction_key], given, with_input, without_input)
        messages = chat_messages([*history, (question, value[output_key])], value.get("system"))
        yield Record(row, {"messages": messages}, {key: value[key] for key in kept if key in value}, fixed)


def prompt(instruction: Any, given: Any, with_input: str = WITH_INPUT, without_input: str = WITHOUT_INPUT) -> Any:
    """Return the question made from instruction and input; a value that is not text is returned unchanged, to be refused."""
    if not isinstance(instruction, str) or not instruction.strip():
        return instruction
    if given is None or given == "" or isinstance(given, str) and not given.strip():
        return fill(without_input, instruction=instruction)
    return fill(with_input, instruction=instruction, input=given) if isinstance(given, str) else given


def shown_key(key: str) -> str:
    """Return the key, in quotes if it has blanks at its ends."""
    return key if key and key == key.strip() else repr(key)


def missing_keys(value: Any, *keys: str) -> str:
    """Return which of the keys the row lacks, in words; empty if it has them all."""
    if not isinstance(value, dict):
        return "expected an object"
    absent = [key for key in keys if key not in value]
    return f"no {' and no '.join(map(repr, absent))}; the row has {', '.join(map(shown_key, sorted(value)[:8]))}" if absent else ""
