"""Read raw runs and merged files of the introspection pipeline as questions, each with the words that its runs gave."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeGuard

from ...schemas.base.counted import counted
from ..reading.records import Drop, Part, Row
from .emotion_words import is_refusal, merge_runs, parse_emotions

# Words that are not emotions: a merged file with one of them has counted the words of a sentence.
_SENTENCE_WORDS = frozenset("Please Provide The And You Your For With Cannot Sorry Unable Would This That Text Chinese".split())

_ROUNDING = 0.0006  # frequencies have three decimals


class Run(NamedTuple):
    """One answer: its words, and whether it is a refusal."""

    words: list[str]
    refused: bool


@dataclass
class Question:
    """A source text and the answers to it: separate runs, or `merged` counts of `merged_total` runs."""

    row: Row
    identity: str
    text: str
    runs: dict[int, Run] = field(default_factory=dict)
    merged: dict[str, int] | None = None
    merged_total: int = 0

    @property
    def total(self) -> int:
        """Return how often the model was asked. A refusal counts as an answer without an emotion."""
        return self.merged_total if self.merged is not None else len(self.runs)

    def words(self) -> dict[str, int]:
        """Return every word, including those in refusals, with the number of runs that gave it; the most frequent first."""
        if self.merged is not None:
            return dict(sorted(self.merged.items(), key=lambda item: -item[1]))
        return merge_runs(run.words for run in self.runs.values())

    def answers(self) -> list[list[str]]:
        """Return the words of each run that is not a refusal."""
        return [run.words for run in self.runs.values() if not run.refused]

    def counted_a_sentence(self) -> bool:
        """Return whether merged counts include the words of a refusal, which can no longer be separated."""
        return self.merged is not None and not _SENTENCE_WORDS.isdisjoint(self.merged)


def read_questions(rows: Iterable[Row], questions: dict[str, Question]) -> Iterator[Drop | Part]:
    """Fill `questions` (by question_id, in order of appearance) from the rows.

    Yield a drop for each row that cannot be counted, and a part for each that counts for a question that an earlier row has begun.
    """
    for row in rows:
        value = row.value
        if not isinstance(value, dict) or not all(isinstance(value.get(key), str) for key in ("question_id", "chinese_text")):
            yield Drop(row, "not_a_run", "expected an object with question_id and chinese_text")
            continue
        question = questions.get(value["question_id"]) or Question(row, value["question_id"], value["chinese_text"])
        if fault := _add(question, value):
            yield Drop(row, *fault)
        elif question.row is row:
            questions[question.identity] = question
        else:
            yield Part(row, question.row)


def _add(question: Question, value: dict[str, Any]) -> tuple[str, str] | None:
    """Count the row for its question, or return why it cannot be counted, as (reason, detail)."""
    if value["chinese_text"] != question.text:
        return "text_differs", f"{question.identity} has another text at {question.row}"
    if "emotion_statistics" in value:
        return _add_merged(question, value["emotion_statistics"])
    if question.merged is not None:
        return (
            "counted_twice",
            f"a merged file of {question.identity} was read at {question.row}: use the runs or the merged files, not both",
        )
    number, run = value.get("run_number"), _run(value)
    if not isinstance(number, int) or run is None:
        return "not_a_run", "expected run_number and raw_model_output or parsed_emotions"
    if number in question.runs:
        return "run_twice", f"run {number} of {question.identity} was already read"
    question.runs[number] = run
    return None


def _run(value: dict[str, Any]) -> Run | None:
    answer, words = value.get("raw_model_output"), value.get("parsed_emotions")
    if isinstance(answer, str):
        return Run(parse_emotions(answer), is_refusal(answer))
    if isinstance(words, list) and words and all(isinstance(word, str) and word for word in words):
        return Run(words, False)
    return None


def _add_merged(question: Question, statistics: Any) -> tuple[str, str] | None:
    if question.runs or question.merged is not None:
        return "counted_twice", f"{question.identity} was read at {question.row}: use the runs or the merged files, not both"
    total = statistics.get("total_runs") if isinstance(statistics, dict) else None
    details = statistics.get("emotion_details") if isinstance(statistics, dict) else None
    if not _is_count(total) or not isinstance(details, dict) or not details:
        return "no_statistics", "expected total_runs and emotion_details with at least one word"
    for word, detail in details.items():
        count = detail.get("count") if isinstance(detail, dict) else None
        if not _is_count(count) or count > total:
            return "wrong_statistics", f"{word}: a count of {count} in {counted(total, 'run')}"
        frequency = detail.get("frequency", count / total)
        if not isinstance(frequency, int | float) or abs(frequency - count / total) > _ROUNDING:
            return "wrong_statistics", f"{word}: {count} of {total} runs is not a frequency of {frequency!r}"
        percentage = detail.get("percentage", 100 * count / total)
        if not isinstance(percentage, int | float) or abs(percentage - 100 * count / total) > 100 * _ROUNDING:
            return "wrong_statistics", f"{word}: {count} of {total} runs is not {percentage!r} %"
    question.merged, question.merged_total = {word: detail["count"] for word, detail in details.items()}, total
    return None


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
