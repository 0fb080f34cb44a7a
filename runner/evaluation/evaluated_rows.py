"""Which rows are evaluated: those of a split, and those of each further set."""

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import orjson

from ...schemas.base.errors import UserError
from ...schemas.sections import Recipe, RecordType
from ..runtime.run_files import SETS
from .scoring import INVALID, label_index, last_reply

SET_ROWS = "test.jsonl"  # in a set's folder


class Evaluated(NamedTuple):
    """Rows to evaluate, as lines: their name (of the split or the set) and record type."""

    name: str
    record_type: RecordType
    lines: list[bytes]


def split_rows(run: Path, recipe: Recipe) -> list[bytes]:
    """Return the lines of the evaluated split."""
    path = run / "data" / f"{recipe.evaluation_split}.jsonl"
    return sample_rows(path, recipe.evaluation.max_rows, recipe.evaluation.generation.seed)


def set_rows(run: Path, recipe: Recipe, name: str) -> list[bytes]:
    """Return the lines of a further set."""
    return sample_rows(run / SETS / name / SET_ROWS, recipe.evaluation.also[name].max_rows, recipe.evaluation.generation.seed)


def rows_that_no_training_reads(run: Path, recipe: Recipe) -> Iterator[Evaluated]:
    """Yield the rows of the test split, where it is evaluated, and those of every further set. A training that is only tried, without an
    evaluation, has no sets."""
    if recipe.evaluation_split == "test":
        yield Evaluated("test", recipe.data.type, split_rows(run, recipe))
    for name, found in recipe.evaluation.also.items():
        if (run / SETS).is_dir():
            yield Evaluated(name, found.type or recipe.data.type, set_rows(run, recipe, name))


def require_labelled_rows(run: Path, recipe: Recipe) -> None:
    """Raise UserError if no evaluated row's own reply is one of the labels: their metrics would have no row. For sets, too."""
    sets = recipe.evaluation.also.items() if (run / SETS).is_dir() else ()
    labels = {"": recipe.evaluation.labels, **{name: found.labels for name, found in sets}}
    for name, wanted in labels.items():
        lines = (set_rows(run, recipe, name) if name else split_rows(run, recipe)) if wanted else []
        replies = [last_reply(orjson.loads(line)["messages"]) for line in lines]
        if replies and all(label_index(reply, wanted) == INVALID for reply in replies):
            key = f"evaluation.also.{name}.labels" if name else "evaluation.labels"
            what = f"{key}: no evaluated row has a reply that is one of them: the first has {replies[0][:60]!r}"
            raise UserError(what, hint="write the labels as the rows' replies")


def sample_rows(path: Path, most: int | None, seed: int) -> list[bytes]:
    """Return the lines to evaluate: all, or a seeded choice that does not depend on their order."""
    lines = path.read_bytes().splitlines(keepends=True)
    if most is None or len(lines) <= most:
        return lines
    key = str(seed).encode()
    return sorted(lines, key=lambda line: blake2b(orjson.loads(line)["id"].encode(), key=key).digest())[:most]
