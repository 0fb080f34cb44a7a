"""Write an inspection as files: one JSON file with everything, a CSV per table, samples to read, and the page."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from ...schemas.base.counted import counted
from ...schemas.base.files import new_folder, refuse_inputs_in
from ...schemas.base.terminal import csv_rows, printable
from ..worker.tokenizers import Tokenizer
from .inputs import Inputs
from .inspect import Inspection
from .previews import Previews
from .record_rows import PlacedRecord

SUMMARY = "inspection.json"
PAGE = "index.html"
WRITTEN = "written"  # key of the summary that lists the files written, itself included
TOKENISED = 10


def write_inspection(out: Path, inputs: Inputs, found: Inspection, tokenizer: Tokenizer) -> list[str]:
    """Write the folder `out` atomically; return the names of its files."""
    from .page import page

    positions = [position for pairs in found.pairs.values() for pair in pairs.listed for position in pair]
    previews = Previews(list(inputs.files.items()), positions, range(len(inputs.files)) if inputs.temporary else ())
    refuse_inputs_in(out, inputs.files.values())
    with new_folder(out, SUMMARY, _own_files(out)) as folder:
        for name, rows in tables(found, previews):
            (folder / f"{name}.csv").write_text("".join(csv_rows(rows)), encoding="utf-8")
        for label, samples in found.samples.items():
            lines = b"".join(orjson.dumps(sample) + b"\n" for sample in samples)
            (folder / "samples").mkdir(exist_ok=True)
            with (folder / "samples" / f"{_file_name(label)}.jsonl").open("ab") as stream:  # two labels may have one file name
                stream.write(lines)
        (folder / "first_rows.txt").write_text(printable("\n".join(formatted(found.first, tokenizer))), encoding="utf-8")
        samples_text = "\n".join(tokenised(found.first[:TOKENISED], tokenizer))
        (folder / "tokenised_samples.txt").write_text(printable(samples_text), encoding="utf-8")
        (folder / PAGE).write_text(page(found, previews), encoding="utf-8")
        names = sorted([SUMMARY, *(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())])
        (folder / SUMMARY).write_bytes(orjson.dumps({**found.facts, WRITTEN: names}, option=orjson.OPT_INDENT_2) + b"\n")
        return names


def _own_files(folder: Path) -> set[str]:
    """Return the files listed by an earlier inspection in the folder."""
    try:
        return set(orjson.loads((folder / SUMMARY).read_bytes())[WRITTEN])
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def tables(found: Inspection, previews: Previews) -> Iterator[tuple[str, list[Sequence[Any]]]]:
    """Yield name and rows of each CSV, the header first."""
    facts = found.facts
    yield "files", [("name", "path", "bytes", "rows", "bad"), *(tuple(file.values()) for file in facts["files"])]
    header = ("of", "part", "count", "sum", "mean", "min", "p5", "p25", "p50", "p75", "p95", "p99", "max")
    lengths = [(of, part, *(of_part.get(key, "") for key in header[2:])) for of, part, of_part in _lengths(facts)]
    yield "lengths", [header, *lengths]
    bins = [(of, part, *bin) for of, part, of_part in _lengths(facts) for bin in of_part.get("histogram", ())]
    yield "histograms", [("of", "part", "from", "to", "rows"), *bins]
    for name in ("scripts", "languages", "sources"):
        if name in facts:
            yield name, [(name, "rows"), *facts[name]["counts"].items()]
    if "labels" in facts:
        yield (
            "labels",
            [("file", "label", "rows"), *((f, label, n) for f, counts in facts["labels"].items() for label, n in counts.items())],
        )
    if "chat" in facts:
        yield "roles", [("role", "messages"), *facts["chat"]["roles"].items()]
        yield "shapes", [("shape", "rows"), *facts["chat"]["shapes"]["counts"].items()]
        if facts["chat"]["answers"]:
            yield "answers", [("answer", "rows"), *facts["chat"]["answers"].items()]
    yield "meta", [("field", "rows", "types", "different", "value", "count"), *_meta_rows(facts["meta"])]
    numbers = [(name, *(field["numbers"][key] for key in header[2:])) for name, field in facts["meta"].items() if "numbers" in field]
    if numbers:
        yield "numbers", [("field", *header[2:]), *numbers]
    for kind, pairs in found.pairs.items():
        cells = [[cell for shown in map(previews.at, pair) for cell in (shown.file, shown.position, shown.row)] for pair in pairs.listed]
        yield f"repeats_{kind}", [("file", "line", "row", "other_file", "other_line", "other_row"), *cells]


def _lengths(facts: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for of, parts in facts["lengths"].items():
        for part, found in parts.items():
            yield of, part, found
    if "chat" in facts:
        yield "messages", "row", facts["chat"]["messages"]


def _meta_rows(fields: dict[str, Any]) -> Iterator[Sequence[Any]]:
    for name, field in fields.items():
        types = ", ".join(f"{kind} {count}" for kind, count in field["types"].items())
        common = field.get("most_common", {})
        yield name, field["rows"], types, f"{common['different']}{'+' * ('and_more' in common)}" if common else "", "", ""
        for value, count in common.get("counts", {}).items():
            yield name, "", "", "", value, count


def _file_name(label: str) -> str:
    """Return a file name of letters and digits for the label."""
    return re.sub(r"[^\w.-]+", "_", label).strip("._")[:60] or "blank"


def formatted(first: list[PlacedRecord], tokenizer: Tokenizer) -> Iterator[str]:
    """Yield the first rows as a model reads them: in the tokenizer's chat template, else each message after its role."""
    for number, (place, record) in enumerate(first, 1):
        yield f"=== {number}: {place}"
        yield row_text(record, tokenizer) + "\n"


def row_text(record: dict[str, Any], tokenizer: Tokenizer) -> str:
    """Return the text of a record."""
    if "messages" not in record:
        return record["text"] + (f"\n--> {record['label']}" if "label" in record else "")
    if tokenizer.render:
        return tokenizer.render(record["messages"])
    return "\n".join(f"[{message['role']}] {message['content']}" for message in record["messages"])


def tokenised(first: list[PlacedRecord], tokenizer: Tokenizer) -> Iterator[str]:
    """Yield the first rows as tokens: ids, then their text."""
    how = ", as trained" if tokenizer.row_ids else "" if tokenizer.render else "; no chat template: roles are in brackets"
    yield f"Tokens of {tokenizer.name}{how}\n"
    for number, (place, record) in enumerate(first, 1):
        ids = tokenizer.row_ids(record) if tokenizer.row_ids else tokenizer.encode(row_text(record, tokenizer))
        yield f"=== {number}: {place}: {counted(len(ids), 'token')}"
        yield str(ids)
        yield "|".join(tokenizer.piece(token) for token in ids) + "\n"
