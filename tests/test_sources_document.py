"""Every number of docs/sources.md, counted again on the real files."""

from pathlib import Path

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.converters.sources.registry import converter
from recipekit.schemas.sections import Data, Source, Split

from .support.paths import ROOT

LINES = [line for line in (ROOT / "docs" / "sources.md").read_text("utf-8").splitlines() if line.startswith("| ") and "(" in line]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in LINES]
CONVERTER = {"alpaca": "alpaca_emotion"}


def counts(cell: str) -> dict[str, int]:
    """`reason 3, other 4` as a dict."""
    pairs = [part.rsplit(" ", 1) for part in cell.split(", ") if part not in ("", "none")]
    return {name: int(number) for name, number in pairs}


@pytest.mark.parametrize("row", ROWS, ids=[row[1].split(" ")[0] for row in ROWS])
def test_a_row_of_the_table_is_what_the_converter_counts(row, realdata: Path, tmp_path: Path):
    system, files, read, rows_in, kept, dropped, changed, _ = row
    path, number = files.removesuffix(")").split(" (")
    name = CONVERTER.get(system, system)
    data = Data(converter(name).RECORD_TYPES[0], (Source(str(realdata / path), name),), split=Split(0, 0), max_dropped=1)
    manifest = build(data, tmp_path / "out")
    assert len(manifest["sources"][0]["files"]) == int(number)
    figures = [int(cell.replace(",", "")) for cell in (read, rows_in, kept)]
    assert [manifest["rows_read"], manifest["rows_in"], manifest["rows_kept"]] == figures
    assert manifest["rows_in"] == manifest["rows_kept"] + sum(manifest["dropped"].values())
    assert manifest["dropped"] == counts(dropped)
    assert manifest["fixed"] == counts(changed)


def test_the_table_has_every_system():
    assert {row[0] for row in ROWS} >= {"introspection", "emollm", "babylm", "alpaca", "emogpt"}
