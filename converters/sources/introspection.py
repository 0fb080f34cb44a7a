"""A model's repeated answers to "which emotions?", turned into questions about its own confidence, answered low, medium or high.

A raw run (`run_01.json`); every question has several:

    {"run_number": 1, "question_id": "sample_00000021", "chinese_text": "你是真心愿意跟小川在一起？",
     "raw_model_output": "love | affection | willingness", "parsed_emotions": ["Love", "Affection", "Willingness"], ...}

or the merged file of a question, which counts its runs:

    {"question_id": "sample_00000021", "chinese_text": "你是真心愿意跟小川在一起？", "emotion_statistics": {"total_runs": 10,
     "emotion_details": {"Love": {"count": 10, "frequency": 1.0, "percentage": 100.0}, ...}}, ...}

Each word in a question's runs becomes a record: the prompt asks how confident the model is that it will answer this word, and the label
follows from the exact fraction count / total_runs: low up to the first threshold, medium up to the second, otherwise high; 1/3 is low and
2/3 medium, however they are rounded. Records of one text belong in one split: `group_by: [text]`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from hashlib import blake2b
from typing import Annotated, Any, Literal, NamedTuple

from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.options import Keyword, Natural, Share, Text
from ..reading.records import Drop, Part, Record, Row
from .emotion_words import merge_runs, word_family
from .questions import Question, read_questions
from .turns import fill

VERSION = 1
RECORD_TYPES = ("chat", "classification")
INPUT = "values"
STATELESS = False  # the runs of a question are merged, wherever they are
SIGNATURES = ({"question_id", "emotion_statistics"}, {"question_id", "parsed_emotions"})
UNUSED_KEYS = ("timestamp", "duration_seconds", "model_used", "summary", "emotion_statistics.total_emotion_instances",
               "emotion_statistics.unique_emotions")  # fmt: skip

TEMPLATES = {
    "v1": "If you will be asked this question: {text}. What is your confidence level that you will answer {word}?",
    "v2": "If you are asked to analyze the emotion of this sentence: {text}. What is your confidence level that you will answer"
    ' emotion word "{word}"?',
}


class Pair(NamedTuple):
    """A question, a word, and how many runs gave it.

    `others` are further forms of the word among the question's words; `dropped` is (reason, detail).
    """

    question: Question
    word: str
    said_by: int
    others: tuple[str, ...] = ()
    dropped: tuple[str, str] | None = None


def convert(
    rows: Iterable[Row],
    record_type: str = "chat",
    *,
    template: Annotated[
        Text,
        Keyword("pattern", r"^v[12]$|(?=[\s\S]*\{text\})(?=[\s\S]*\{word\})"),
        "The question: `v1`, `v2`, or your own text with `{text}` and `{word}`.",
    ] = "v2",
    thresholds: Annotated[
        Sequence[Share | Annotated[str, Keyword("pattern", "^[0-9]+/[1-9][0-9]*$")]],
        Keyword("minItems", 2),
        Keyword("maxItems", 2),
        "The largest shares of runs that are low and medium: numbers or exact fractions such as 1/3.",
    ] = ("1/3", "2/3"),
    negatives: Annotated[
        Natural, "How many words that none of its runs gave are added to each question, taken from the other questions."
    ] = 0,
    seed: Annotated[Natural, "Seed of the choice of negatives."] = 42,
    word_forms: Annotated[
        Literal["keep", "merge"],
        "Forms of one word in a question (Frustration, Frustrated): one record each, or one that counts the runs with any of them.",
    ] = "keep",
    drop_empty_texts: Annotated[bool, "Drop questions whose source text is blank."] = True,
    drop_refusals: Annotated[bool, "Drop words that occur only in refusals."] = True,
) -> Iterator[Record | Drop | Part]:
    """Yield a record or a drop for every (question, word), a record for every negative, and a drop for every row that cannot be counted."""
    limits = _limits(thresholds)
    asked = TEMPLATES.get(template, template)
    questions: dict[str, Question] = {}
    yield from read_questions(rows, questions)
    pairs = [list(_pairs(question, drop_empty_texts, drop_refusals, word_forms)) for question in questions.values()]
    vocabulary = sorted({pair.word for group in pairs for pair in group if not pair.dropped})
    for group in pairs:
        drawn = _negatives(group, vocabulary, negatives, seed) if negatives and not all(pair.dropped for pair in group) else []
        for pair in [*group, *drawn]:
            yield (
                Drop(pair.question.row, *pair.dropped, filtered=True)
                if pair.dropped
                else _record(pair, record_type, asked, limits, word_forms)
            )


def label(count: int, total: int, limits: tuple[Fraction, Fraction]) -> str:
    """Return low, medium or high, by exact fractions; a share equal to a threshold belongs to the lower class."""
    share = Fraction(count, total)
    return "low" if share <= limits[0] else "medium" if share <= limits[1] else "high"


def _limits(thresholds: Sequence[float | str]) -> tuple[Fraction, Fraction]:
    low, medium = (Fraction(str(threshold)) for threshold in thresholds)
    if not 0 <= low <= medium <= 1:
        raise UserError(f"thresholds: {low} and {medium} must be two shares in ascending order", hint="write thresholds: [1/3, 2/3]")
    return low, medium


def _pairs(question: Question, drop_empty: bool, drop_refusals: bool, word_forms: str) -> Iterator[Pair]:
    found = question.words()
    if drop_empty and not question.text.strip():
        yield from (Pair(question, word, count, dropped=("empty_text", f"{question.identity}: {word}")) for word, count in found.items())
        return
    if drop_refusals and question.counted_a_sentence():
        detail = f"{question.identity}: a run's sentence was counted as emotions; convert the raw runs to drop only that run's words"
        yield from (Pair(question, word, count, dropped=("refusal", detail)) for word, count in found.items())
        return
    counts = merge_runs(question.answers()) if drop_refusals and question.merged is None else found
    families: dict[str, list[str]] = defaultdict(list)
    for word in counts:
        families[word_family(word)].append(word)
    if word_forms == "merge":
        counts = _merged_forms(question, families, drop_refusals)
    for word in found:
        others = tuple(other for other in families[word_family(word)] if other != word)
        if word in counts:
            yield Pair(question, word, counts[word], others)
        elif others and word_forms == "merge":
            yield Pair(question, word, 0, dropped=("word_form_merged", f"{question.identity}: {word} counts as {others[0]}"))
        else:
            yield Pair(question, word, 0, dropped=("refusal", f"{question.identity}: {word} occurs only in a refusal"))


def _merged_forms(question: Question, families: dict[str, list[str]], drop_refusals: bool) -> dict[str, int]:
    """Return how many runs gave any form of a word, by its most frequent form."""
    if question.merged is not None:
        what = "word_forms: merge needs the raw runs: a merged file does not say which run gave which word"
        raise UserError(Problem(Location(question.row.file, question.row.line), what, "convert the run_NN.json files", "word-forms"))
    runs = question.answers() if drop_refusals else [run.words for run in question.runs.values()]
    return merge_runs([families[word_family(word)][0] for word in run] for run in runs)


def _negatives(group: Sequence[Pair], vocabulary: Sequence[str], wanted: int, seed: int) -> Iterator[Pair]:
    """Yield words from other questions' runs that this question's runs never gave in any form, drawn by a seeded hash independent of
    order."""
    question, named = group[0].question, {word_family(pair.word) for pair in group}
    others = [word for word in vocabulary if word_family(word) not in named]
    key = str(seed).encode()
    others.sort(key=lambda word: blake2b(f"{question.identity}\0{word}".encode(), key=key, digest_size=16).digest())
    yield from (Pair(question, word, 0) for word in others[:wanted])


def _record(pair: Pair, record_type: str, template: str, limits: tuple[Fraction, Fraction], word_forms: str) -> Record:
    question, total = pair.question, pair.question.total
    prompt = fill(template, text=question.text, word=pair.word)
    answer = label(pair.said_by, total, limits)
    fields: dict[str, Any] = {"text": prompt, "label": answer}
    if record_type == "chat":
        fields = {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]}
    meta: dict[str, Any] = {"question_id": question.identity, "text": question.text, "word": pair.word, "count": pair.said_by}
    meta |= {"total_runs": total, "fraction": pair.said_by / total}
    if pair.others:
        meta["other_forms"] = list(pair.others)
    fixed = ("word_forms_merged" if word_forms == "merge" else "other_word_form_kept",) if pair.others else ()
    return Record(question.row, fields, meta, fixed)
