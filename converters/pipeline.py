"""read -> convert -> validate -> dedupe -> split -> write: a recipe's `data` section becomes a folder of JSONL and its manifest."""

from collections.abc import Iterator
from hashlib import blake2b, file_digest
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from ..schemas import VERSION
from ..schemas.errors import GateError, Mark, Problem, UserError
from ..schemas.sections import Data, Source, SplitName
from .checks import record_fault
from .files import SourceFile, source_files
from .leaks import check_leaks
from .ledger import Ledger
from .publish import new_folder, write_atomically
from .readers import read_file
from .records import Drop, Record, Row
from .registry import converter
from .rows import complete_row, content_digest, group_keys, with_system_prompt
from .splits import Groups, Placed, assign_splits

MANIFEST = "manifest.json"


def build(data: Data, out: Path) -> dict[str, Any]:
    """Write train.jsonl, validation.jsonl, test.jsonl (those that have rows) and manifest.json to `out`; return the manifest.

    Raises UserError for unusable rows beyond `data.max_dropped`, GateError for leaks; then `out` stays as it was.
    """
    with new_folder(out, MANIFEST) as folder:
        spool_path = folder / "rows.jsonl"
        with spool_path.open("wb") as stream:
            spool = Spool(data, stream)
            for index, source in enumerate(data.sources):
                spool.add(source, f"{index}/" if len(data.sources) > 1 else "")
        check_budget(spool.ledger, data.max_dropped)
        splits = assign_splits(spool.placed(), data.split)
        check_leaks(spool, splits)
        counts, repeated = write_splits(spool_path, folder, spool.weights, splits, data.split.seed)
        spool_path.unlink()
        manifest: dict[str, Any] = {"recipekit": VERSION, "type": data.type, **spool.ledger.as_json(), "splits": counts}
        if repeated:
            manifest["repeated"] = repeated
        if data.type == "classification":
            manifest["labels"] = _label_order(data, spool.labels)
        manifest |= {"sources": spool.sources, "files": {path.name: _file_facts(path) for path in sorted(folder.iterdir())}}
        write_atomically(folder / MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
    return manifest


class Spool:
    """Every kept row in one file, in order, with what splitting and the leak check need of each in memory."""

    def __init__(self, data: Data, stream: BinaryIO) -> None:
        self.data = data
        self.stream = stream
        self.ledger = Ledger()
        self.sources: list[dict[str, Any]] = []
        self.labels: set[str] = set()
        self.seen: set[bytes] = set()
        self.groups = Groups()
        self.ids: list[str] = []
        self.digests: list[bytes] = []
        self.keys: list[bytes] = []
        self.strata: list[str] = []
        self.fixed: list[SplitName | None] = []
        self.weights: list[float] = []

    def add(self, source: Source, prefix: str) -> None:
        """Read, convert, validate and deduplicate one source."""
        files, formats, before = source_files(source.path), {}, self.ledger.rows_in
        kept, read = self.ledger.kept, self.ledger.read
        for record in self._converted(source, files, formats):
            drop = record if isinstance(record, Drop) else self._keep(record, source, prefix)
            if drop:
                self.ledger.drop(drop)
        candidates, rows = self.ledger.rows_in - before, self.ledger.read - read
        if converter(source.converter).ROW_LOCAL and candidates < rows:
            raise AssertionError(f"the converter {source.converter} lost {rows - candidates} rows of {source.path}")
        self.sources.append(_source_facts(source, files, formats, rows, self.ledger.kept - kept))

    def _converted(self, source: Source, files: list[SourceFile], formats: dict[str, str]) -> Iterator[Record | Drop]:
        module = converter(source.converter)
        faults: list[Drop] = []

        def rows() -> Iterator[Row]:
            for file in files:
                formats[file.name], found = read_file(file, module.READS)
                for row in found:
                    self.ledger.read += 1
                    if isinstance(row, Drop):
                        faults.append(row)
                    else:
                        yield row

        for record in module.convert(islice(rows(), source.limit), self.data.type, **source.options):
            yield from faults
            faults.clear()
            yield record
        yield from faults

    def _keep(self, record: Record, source: Source, prefix: str) -> Drop | None:
        data = self.data
        fields = with_system_prompt(record.fields, data.system_prompt)
        if fault := record_fault(data.type, fields):
            return Drop(record.row, *fault)
        digest = content_digest(data.type, fields)
        if data.dedup != "none":
            if digest in self.seen:
                return Drop(record.row, "duplicate", wanted=True)
            self.seen.add(digest)
        row = complete_row(record, fields, source.converter, prefix, self.ids[-1] if self.ids else "")
        self.stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        self.ids.append(row["id"])
        self.digests.append(digest)
        self.keys.append(self.groups.join(group_keys(row, data.split.group_by) or [digest]))
        self.strata.append(str(row.get("label") if data.split.stratify_by == "label" else row["meta"].get(data.split.stratify_by)))
        self.fixed.append(source.split)
        self.weights.append(source.weight)
        if data.type == "classification":
            self.labels.add(fields["label"])
        self.ledger.kept += 1
        self.ledger.changed.update(record.changed)
        return None

    def placed(self) -> list[Placed]:
        """Each row's group, stratum and fixed split, once every group is known."""
        roots = [self.groups.root(key) for key in self.keys]
        return [Placed(*facts) for facts in zip(roots, self.strata, self.fixed, strict=True)]


def check_budget(ledger: Ledger, allowed: float) -> None:
    """Refuse when more rows are unusable than the recipe allows; each is listed, up to a limit."""
    if ledger.unusable <= allowed * ledger.rows_in:
        return
    problems = [
        Problem(Mark(d.row.file, d.row.line), d.reason.replace("_", " ") + (f": {d.detail}" if d.detail else ""), rule=d.reason)
        for d in ledger.examples
    ]
    more = f" (the first {len(problems)} are listed)" if ledger.unusable > len(problems) else ""
    summary = f"{ledger.unusable} of {ledger.rows_in} rows cannot be used{more}"
    hint = "mend the rows, or allow a share of them to be dropped: max_dropped under data (or --max-dropped)"
    raise (GateError if allowed else UserError)(*problems, Problem(Mark(""), summary, hint, "max-dropped"))


def write_splits(spool: Path, folder: Path, weights: list[float], splits: list[SplitName], seed: int) -> tuple[dict[str, int], int]:
    """Deal the spooled lines out to the splits' files. Returns rows by split and how many more training rows the weights made."""
    counts: dict[str, int] = {}
    streams: dict[str, BinaryIO] = {}
    with spool.open("rb") as lines:
        for line, weight, split in zip(lines, weights, splits, strict=True):
            copies = _copies(line, weight, seed) if split == "train" and weight != 1 else 1
            if split not in streams:
                streams[split] = (folder / f"{split}.jsonl").open("wb")
                counts[split] = 0
            streams[split].write(line * copies)
            counts[split] += copies
    for stream in streams.values():
        stream.close()
    return dict(sorted(counts.items())), sum(counts.values()) - len(splits)


def _copies(line: bytes, weight: float, seed: int) -> int:
    """`weight` as a whole number of copies: 1.5 is one or two, decided by the row's seeded hash."""
    draw = int.from_bytes(blake2b(line, key=str(seed).encode(), digest_size=8).digest()) / 2**64
    return int(weight) + (draw < weight % 1)


def _label_order(data: Data, found: set[str]) -> list[str]:
    """The recipe's labels, else those found, sorted. A label that the recipe does not list is refused."""
    if data.labels is None:
        return sorted(found)
    if extra := sorted(found - set(data.labels)):
        raise UserError(f"labels that data.labels does not list: {', '.join(extra)}", hint="add them, or mend the rows")
    return list(data.labels)


def _source_facts(source: Source, files: list[SourceFile], formats: dict[str, str], rows: int, kept: int) -> dict[str, Any]:
    return {
        "converter": source.converter,
        "version": converter(source.converter).VERSION,
        "options": source.options,
        "weight": source.weight,
        "rows_read": rows,
        "rows_kept": kept,
        "files": [{"name": f.name, "format": formats.get(f.name, "not read"), **_file_facts(f.path)} for f in files],
    }


def _file_facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        return {"sha256": file_digest(stream, "sha256").hexdigest(), "bytes": path.stat().st_size}
