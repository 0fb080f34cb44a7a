"""Gather all facts about files of records in one pass."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ...converters.building.near_duplicates import PARTNERS
from ...converters.reading.records import Drop, Row
from ...schemas import VERSION
from ...schemas.sections import RecordType
from ..worker.tokenizers import Tokenizer
from .distributions import Meta, Samples, Tally
from .inputs import Inputs
from .record_rows import PlacedRecord, fields_of, meta_of, origin_of, record_rows, record_type
from .repeats import DuplicateIndex, Pair, Position
from .text_statistics import AS_TRAINED, HOW_LANGUAGES, HOW_SCRIPTS, TextFacts

LISTED = 1000  # pairs of rows kept of each kind; all are counted
BAD_LISTED = 50
FIRST = 20
ALL = "all rows"


class Options(NamedTuple):
    """Options of an inspection. `by` is a meta key that groups samples; `near` is the threshold of near-duplicates, None to skip them."""

    tokenizer: Tokenizer
    by: str | None = None
    samples: int = 5
    near: float | None = 0.7
    languages: bool = True


class PairsFound(NamedTuple):
    """Pairs of rows of one kind: the number of `pairs` and of `rows` in them, and the first pairs in file order."""

    pairs: int
    rows: int
    listed: list[tuple[Position, Position]]


class Inspection(NamedTuple):
    """The result. `facts` are plain values (inspection.json); `pairs` by kind; `samples` by label; `first` the first rows."""

    facts: dict[str, Any]
    pairs: dict[str, PairsFound]
    samples: dict[str, list[dict[str, Any]]]
    first: list[PlacedRecord]


def inspect(inputs: Inputs, options: Options, scratch: Path, progress: Callable[[int], None] = lambda rows: None) -> Inspection:
    """Read the files once. `progress` is called with the number of rows read; `scratch` is a folder for temporary files."""
    kind = record_type(list(inputs.files.values()))
    reading = _Reading(kind, options, scratch, inputs.temporary)
    files = [reading.file(name, path, progress) for name, path in inputs.files.items()]
    pairs = find_pairs(reading.repeats, options.near)
    facts: dict[str, Any] = {
        "recipekit": VERSION, "input": inputs.name, "type": kind, "rows": sum(f["rows"] for f in files), "valid": len(reading.repeats),
        "bad": dict(reading.bad.most_common()), "bad_listed": reading.bad_listed, "files": files, "how": _how(options),
    }  # fmt: skip
    facts |= reading.text.as_json()
    if kind == "classification":
        facts["labels"] = {name: dict(tally.top()) for name, tally in reading.labels.items()}
    facts["repeats"] = {name: {"pairs": found.pairs, "rows": found.rows} for name, found in pairs.items()}
    facts |= reading.meta.as_json()
    if inputs.manifest:
        facts["conversion"] = {key: inputs.manifest[key] for key in ("rows_in", "rows_kept", "dropped", "fixed", "splits")}
    return Inspection(facts, pairs, reading.chosen(), reading.first)


class _Reading:
    """The facts gathered while reading."""

    def __init__(self, kind: RecordType, options: Options, scratch: Path, temporary: bool) -> None:
        self.kind: RecordType = kind
        self.temporary = temporary
        self.by = options.by
        self.text = TextFacts(kind, options.tokenizer.encode, options.languages, options.tokenizer.row_ids)
        self.repeats = DuplicateIndex(kind, scratch / "signatures" if options.near else None)
        self.meta = Meta()
        self.bad: Counter[str] = Counter()
        self.bad_listed: list[dict[str, Any]] = []
        self.labels: dict[str, Tally] = {}
        self.samples, self.by_answer = Samples(options.samples), Samples(options.samples)
        self.first: list[PlacedRecord] = []

    def file(self, name: str, path: Path, progress: Callable[[int], None]) -> dict[str, Any]:
        """Read a file; return its number of rows, and of invalid ones."""
        number, rows, before = len(self.labels), 0, self.bad.total()
        self.labels[name] = Tally()
        for row in record_rows(path, self.kind):
            rows += 1
            if rows % 1000 == 0:
                progress(rows)
            if isinstance(row, Drop):
                self.drop(name, row)
            else:
                self.add(name, number, row)
        return {
            "name": name,
            "path": "" if self.temporary else str(path),
            "bytes": path.stat().st_size,
            "rows": rows,
            "bad": self.bad.total() - before,
        }

    def drop(self, name: str, drop: Drop) -> None:
        self.bad[drop.reason] += 1
        if len(self.bad_listed) < BAD_LISTED:
            place = {"file": name, "line": drop.row.line, "item": drop.row.item}
            self.bad_listed.append({**place, "reason": drop.reason, "detail": drop.detail})

    def add(self, name: str, number: int, row: Row) -> None:
        fields, meta = fields_of(row.value), meta_of(row.value)
        file, line = origin_of(row.value) if self.temporary else (name, row.line)
        self.text.add(fields)
        self.meta.add(meta)
        self.repeats.add(fields, meta, Position(number, row.line, row.item))
        label = fields["label"] if self.kind == "classification" else ALL
        if self.kind == "classification":
            self.labels[name].add(label)
        if self.by is not None:
            label = f"{self.by}: {meta[self.by]}" if self.by in meta else f"no {self.by}"
        self.samples.add(label, file, line, row.value)
        if self.text.answers is not None and self.by is None:
            self.by_answer.add(fields["messages"][-1]["content"], file, line, row.value)
        if len(self.first) < FIRST:
            self.first.append((str(row.value["id"]) if self.temporary else f"{name}:{row.position}", row.value))

    def chosen(self) -> dict[str, list[dict[str, Any]]]:
        """Return samples by label; by answer for chats that answer from a list."""
        return (self.by_answer if self.text.answers is not None and self.by is None else self.samples).by_label()


def _how(options: Options) -> dict[str, Any]:
    """Return how the numbers were computed."""
    near = "not searched for"
    if options.near:
        near = f"MinHash of 4-character shingles, estimated Jaccard similarity of at least {options.near}"
        near += f"; a row is paired with at most {PARTNERS} earlier ones"
    languages = HOW_LANGUAGES if options.languages else "not detected"
    tokens = f"{options.tokenizer.name}; the contents only, without a chat template or special tokens"
    tokens += f", except for the {AS_TRAINED}" if options.tokenizer.row_ids else ""
    return {"tokens": tokens, "scripts": HOW_SCRIPTS, "languages": languages, "near_duplicates": near}


def find_pairs(repeats: DuplicateIndex, near: float | None) -> dict[str, PairsFound]:
    """Return pairs of repeated rows, by kind."""
    found = {"equal": _found(repeats, repeats.equal())}
    if repeats.kind != "text":
        found["same_input_other_output"] = _found(repeats, repeats.contradictions())
    if near:
        found["nearly_equal"] = _found(repeats, repeats.near(near))
    return found


def _found(repeats: DuplicateIndex, pairs: Iterable[Pair]) -> PairsFound:
    """Return counts and the earliest LISTED pairs, in file order whatever their order here."""
    count, later, kept = 0, bytearray(len(repeats)), []
    for pair in pairs:
        count += 1
        later[pair.second] = 1
        kept.append((pair.second, pair.first))
        if len(kept) > 4 * LISTED:
            kept = sorted(kept)[:LISTED]
    return PairsFound(count, sum(later), [(repeats.position(first), repeats.position(second)) for second, first in sorted(kept)[:LISTED]])
