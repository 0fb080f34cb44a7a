"""Inputs of every converter, mutated by a fixed seed: rows come out or are dropped for a reason, in an account that adds up.

RECIPEKIT_FUZZ multiplies how many mutants are tried: 100,000 records and more with 10.
"""

import copy
import json
import random

import orjson
import pytest
from recipekit.converters.building.conversion import Spec, convert_stream
from recipekit.converters.reading.files import SourceFile, source_files
from recipekit.converters.reading.readers import read_file
from recipekit.converters.reading.records import Drop
from recipekit.converters.sources.registry import converter
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.validation import validator

from ..support.converter_examples import CASES
from ..support.mutation import ODD, TIMES, mutate

# What bytes are replaced by: the characters that formats are made of, and those that break them.
PIECES = [b"", b"\0", b"\n", b"\r", b'"', b"'", b",", b"\t", b"[", b"]", b"{", b"}", b"\\", b"//", b"|||", b"\xff", b"\xed\xa0\xbd", b"\xef\xbb\xbf",
          b"\xe5", "字💻".encode(), b"null", b"1e999", b"NaN", b"\\ud83d", b"<<<<<<< HEAD\n", b" " * 50, b"[" * 2000, b"type,posts\n", b'""']  # fmt: skip
VALUES = [
    *ODD,
    "x" * 3000,
    "字💻",
    "\0",
    "\n\n",
    "|||",
    "INFJ",
    ["a", 1],
    {"role": "user", "content": None},
    [[["a"]]],
    2**63,
    float("nan"),
    float("inf"),
]


def spec_of(case):
    path = case / "options.json"
    options = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    kind = options.pop("type", converter(case.parent.name).RECORD_TYPES[0])
    return Spec(kind, case.parent.name, options)


def inputs(case):
    return [file.path for path in sorted(case.glob("input*")) for file in source_files(str(path))]


def check(spec, rows):
    """Convert the rows; whatever they are, the account adds up and what was written is valid. How many rows there were."""
    parts = list(convert_stream(spec, rows, 2000))
    lines = b"".join(part.lines for part in parts).splitlines()
    records = [orjson.loads(line) for line in lines]
    assert all(validator(spec.record_type).is_valid(record) for record in records)
    assert len({record["id"] for record in records}) == len(records)
    read = sum(part.ledger.read for part in parts)
    assert len(records) == sum(len(part.ends) for part in parts)
    assert all(reason.replace("_", "").isalnum() for part in parts for reason in part.ledger.dropped)
    return read


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_files_with_mutated_bytes_are_read_or_refused(case, tmp_path):
    spec, draw, files = spec_of(case), random.Random(f"{case.parent.name} {case.name}"), inputs(case)
    path = tmp_path / "input"
    for number in range(60 * TIMES):
        content = bytearray(draw.choice(files).read_bytes())
        for _ in range(draw.choice([1, 1, 2, 5])):
            at = draw.randrange(len(content) + 1)
            content[at : at + draw.choice([0, 1, 1, 2, 30])] = draw.choice(PIECES)
        path.write_bytes(content[: draw.choice([None, None, len(content) // 2])])
        try:
            check(spec, read_file(SourceFile(path, "input"), converter(spec.converter).INPUT)[1])
        except UserError as error:
            assert error.problems[0].location.file
        except Exception as error:
            raise AssertionError(f"mutant {number}: {bytes(content)!r}") from error


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_rows_with_mutated_values_become_records_or_drops(case):
    spec, draw = spec_of(case), random.Random(f"{case.parent.name} {case.name}")
    module = converter(spec.converter)
    rows = [row for path in inputs(case) for row in read_file(SourceFile(path, path.name), module.INPUT)[1] if not isinstance(row, Drop)]
    if module.INPUT == "lines" or isinstance(rows[0].value, str):
        pytest.skip("its rows are lines: mutated as bytes")
    seen = 0
    for number in range(60 * TIMES):
        mutants = [row._replace(value=mutate(row.value, draw), line=line) for line, row in enumerate(rows, 1)]
        place = draw.randrange(len(mutants))
        mutants[place] = mutants[place]._replace(value=copy.deepcopy(draw.choice(VALUES)))
        try:
            seen += check(spec, mutants)
        except UserError as error:
            assert error.problems[0].location.file
        except Exception as error:
            raise AssertionError(f"mutant {number}: {[row.value for row in mutants]!r:.3000}") from error
    assert seen
