"""Alpaca rows whose outputs were rewritten with an emotion, in every form in which the project stores them.

    {"instruction": "What are the three primary colors?", "input": "", "rewritten_output": "Rewritten Output:\\nEmbrace the vibrancy..."}

The output is under rewritten_output, new-output, new_output (seeds: an object of lists by emotion) or output; in `instances` (seed_tasks);
or after "Response:" in one text with the prompt (google_form). Prompt labels that the model repeated before its answer are removed.
`meta.instruction` is for `group_by`: one instruction was answered at several temperatures.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NamedTuple

from ..reading.records import Drop, Record, Row
from .alpaca import NO_INPUT

VERSION = 1
RECORD_TYPES = ("chat",)
INPUT = "values"
STATELESS = True
SIGNATURES = ({"instruction", "rewritten_output"}, {"instruction", "instances"}, {"instruction", "new-output"})
# Statistics of self-instruct; next to a rewritten output, the original.
UNUSED_KEYS = ("name", "is_classification", "most_similar_instructions", "avg_similarity_score", "output")

_REWRITTEN = re.compile(r"^\[?Rewritten Output(?:\s*\(([^)]+)\))?\]?\s*:?\n?", re.IGNORECASE)
_LATER = re.compile(r"^\[?Rewritten Output(?:\s*\([^)]+\))?\]?\s*:\s*|^\[Rewritten Output\]\s*", re.IGNORECASE | re.MULTILINE)
_EMOTION = re.compile(r"^\[?(?:Desired Emotion|Desire):\s*([^\n\]]*)\]?\s*|^\[Desired Emotion\]\s*", re.IGNORECASE)
_EXPLANATION = re.compile(r"^\[?Explanation\]?:\s*", re.IGNORECASE)
_ORIGINAL = re.compile(r"^\[?Original (?:Output|Input)\]?\s*:", re.IGNORECASE)
_ECHO = re.compile(rf"{_ORIGINAL.pattern}|^\[?(?:Instruction|Input)\]?\s*:|^\[Input\b[^\]\n]*\]:|^Example \d+:\n", re.IGNORECASE)
_RUN_ON = re.compile(
    r"^\W*(?:\d+\. )?\W*(?:(?:Another |Alternative |Corrected )*Rewritten Output|Desired Emotion|Original Output)\b"
    r"|^\[(?:1\. )?Instruction",
    re.IGNORECASE | re.MULTILINE,
)
_FORM = re.compile(r".*?Instruction:\s*(?P<instruction>.*?)(?:\nInput:\s*(?P<input>.*?))?(?:\nResponse:(?P<output>.*))?\Z", re.DOTALL)
_OUTPUTS = {"rewritten_output": "alpaca", "new-output": "alpaca", "new_output": "emotion_seed_task", "output": "alpaca"}


class _Example(NamedTuple):
    """An instruction with its answer; `source` names the origin of the instruction."""

    instruction: Any
    input: Any
    output: Any
    emotion: Any
    source: str


def recognise_rows(rows: list[dict[str, Any]]) -> str:
    """Return why the rows come from this source: every value is a list of seeds."""
    lists = [seeds for row in rows for seeds in row.values()]
    seeded = all(isinstance(seeds, list) and seeds and isinstance(seeds[0], dict) and "instruction" in seeds[0] for seeds in lists)
    return "instructions by emotion" if seeded else ""


def convert(
    rows: Iterable[Row],
    record_type: str = "chat",
    *,
    remove_labels: Annotated[
        bool,
        "Remove labels of the prompt before an output (Rewritten Output:, Desired Emotion:), and drop outputs that only repeat the prompt.",
    ] = True,
    drop_run_on: Annotated[bool, "Drop rows whose output continues with another example of the prompt."] = False,
    keep_meta: Annotated[Iterable[str], "Keys of the row to keep in meta."] = (),
) -> Iterator[Record | Drop]:
    """Yield a chat of two messages per example; a row of seeds has several examples."""
    kept = tuple(keep_meta)
    for row in rows:
        found = False
        more = {key: row.value[key] for key in kept if key in row.value} if isinstance(row.value, dict) else {}
        for example in _examples(row.value):
            found = True
            made = _chat(row, example, remove_labels, drop_run_on)
            yield made._replace(meta={**made.meta, **more}) if more and isinstance(made, Record) else made
        if not found:
            yield Drop(row, "no_instruction", "expected an object with instruction and an output, or seeds by emotion")


def _examples(value: Any, emotion: str | None = None) -> Iterator[_Example]:
    if isinstance(value, str) and (form := _FORM.match(value)):
        yield _Example(form["instruction"], form["input"], form["output"], emotion, "google_form")
    elif isinstance(value, dict) and "instruction" in value:
        yield from _of_row(value, emotion)
    elif isinstance(value, dict) and emotion is None:
        for name, seeds in value.items():
            for seed in seeds if isinstance(seeds, list) else (None,):
                yield from _examples(seed, name)
    elif emotion is not None:  # not a seed: dropped, not skipped
        yield _Example(None, None, None, emotion, "")


def _of_row(value: dict[str, Any], emotion: str | None) -> Iterator[_Example]:
    emotion = emotion or value.get("emotion") or value.get("emotion_label")
    if isinstance(instances := value.get("instances"), list):
        for instance in instances:
            answer = instance if isinstance(instance, dict) else {}
            yield _Example(value["instruction"], answer.get("input"), answer.get("output"), emotion, str(value.get("id", "seed_tasks")))
        return
    key = next((key for key in _OUTPUTS if key in value), "output")
    source = "self_instruct" if "most_similar_instructions" in value else _OUTPUTS[key]
    yield _Example(value["instruction"], value.get("input"), value.get(key), emotion, source)


def _chat(row: Row, example: _Example, remove_labels: bool, drop_run_on: bool) -> Record | Drop:
    instruction, output, emotion = example.instruction, example.output, example.emotion
    if not isinstance(instruction, str) or not instruction.strip():
        return Drop(row, "no_instruction", "the instruction is missing or blank")
    if not isinstance(output, str):
        return Drop(row, "no_output", f"no output for {instruction[:40]!r}")
    answer, fixed = output.strip(), ()
    if remove_labels:
        answer, fixed, named = without_labels(output)
        emotion = emotion or named
        if answer and _ECHO.match(answer):
            return Drop(row, "prompt_echo", f"the output repeats the prompt: {answer[:40]!r}", filtered=True)
    if not answer:
        return Drop(row, "empty_output", f"for {instruction[:40]!r}", filtered=True)
    if drop_run_on and (more := _RUN_ON.search(answer)):
        return Drop(row, "run_on", f"the output continues with another example: {more.group()[:40]!r}", filtered=True)
    given = example.input.strip() if isinstance(example.input, str) else ""
    question = f"{instruction.strip()}\n\n{given}" if given and given.lower().strip("[]") not in NO_INPUT else instruction.strip()
    meta = {"emotion": emotion, "instruction": instruction.strip(), "instruction_source": example.source}
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return Record(row, {"messages": messages}, {key: item for key, item in meta.items() if item is not None}, fixed)


def without_labels(output: str) -> tuple[str, tuple[str, ...], str | None]:
    """Return the answer without the prompt's labels before it, what was removed, and the emotion named in a label."""
    label = _REWRITTEN.match(output)
    answer = output[label.end() :].strip() if label else output.strip()
    fixed = ["rewritten_label_removed"] if label else []
    emotion = label[1] if label else None
    before = answer
    if named := _EMOTION.match(answer):
        emotion, answer = emotion or (named[1] or "").strip(), answer[named.end() :]
    # Text after "Instruction:" or "Example 16:" answers another instruction; only after the row's own original can its answer follow.
    if (named or _ORIGINAL.match(answer)) and (later := _LATER.search(answer)):
        answer = answer[later.end() :]
    answer = _EXPLANATION.sub("", answer).strip()
    if answer != before:
        fixed.append("prompt_label_removed")
    return answer, tuple(fixed), emotion.lower() if emotion else None
