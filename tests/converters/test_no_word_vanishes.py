"""No word of a row vanishes, whatever the converter: it is written, in a key that is named as unread, or its row is dropped for a reason.

RECIPEKIT_FUZZ multiplies how many rows are tried.
"""

import re

import orjson
import pytest
from recipekit.converters.building.conversion import Spec, convert_stream
from recipekit.converters.building.key_use import KeyCounts
from recipekit.converters.reading.records import Row
from recipekit.converters.sources.registry import converter

from ..support.mutation import TIMES
from ..support.odd_rows import OddRows, values_at, words_in

SOURCES = ["messages", "sharegpt", "lmsys", "alpaca", "prompt_completion", "table", "emogpt", "emollm"]
KINDS = [(name, kind) for name in SOURCES for kind in converter(name).RECORD_TYPES]
LEFT_OUT = {"system_left_out"}  # repairs that leave words out; they are counted


def lost(row, parts, unused):
    """The words of the row that are in no record and in no unread key; none if the row was dropped."""
    lines = b"".join(part.lines for part in parts).splitlines()
    if not lines or LEFT_OUT & {name for part in parts for names in part.fixed.values() for name in names}:
        return set()
    counts = KeyCounts()
    for part in parts:
        counts.add(part.unread)
    named = [*counts.as_json(), *unused]
    unread = [value for path in named for value in values_at(row, re.findall(r"\[\]|[^.\[\]]+", path))]
    return words_in(row) - words_in([orjson.loads(line) for line in lines]) - words_in(unread)


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_every_word_of_a_row_is_accounted_for(name, kind):
    rows, unused, kept = OddRows(f"{name} {kind}"), getattr(converter(name), "UNUSED_KEYS", ()), 0
    for number in range(250 * TIMES):
        row = rows.row(name)
        options = {"keep_meta": [key for key in row if rows.draw.random() < 0.2]}
        parts = [*convert_stream(Spec(kind, name, options), [Row(row, "f", 1)], 1 << 20)]
        kept += any(part.lines for part in parts)
        assert not (gone := lost(row, parts, unused)), f"row {number}, options {options}: {gone} of {row}"
    assert kept >= 20 * TIMES
