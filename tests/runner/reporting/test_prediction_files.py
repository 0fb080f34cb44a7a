"""Predictions as files: every column stays, and a spreadsheet computes nothing of them."""

import csv
import json
import tracemalloc
from pathlib import Path

import pytest
from recipekit.runner.reporting.prediction_files import write_csv, write_jsonl

ROWS = [
    ({"id": "r:1", "columns": {"text": "=SUM(A1)", "n": -3}}, {"label": "@x", "probabilities": {"@x": 0.75, "b": 0.25}}),
    ({"id": "r:2", "columns": {"text": "a,\"b\"\nc", "more": [2**70, {"k": "é"}]}}, {"error": "empty text"}),
]  # fmt: skip


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_json_lines_hold_the_columns_and_the_prediction(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "out.jsonl", lambda: iter(ROWS))
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert lines == [{**row["columns"], "prediction": prediction} for row, prediction in ROWS]


def test_a_table_has_a_column_for_every_key_and_no_formula(tmp_path: Path) -> None:
    write_csv(tmp_path / "out.csv", lambda: iter(ROWS))
    assert table(tmp_path / "out.csv") == [
        {"text": "'=SUM(A1)", "n": "-3", "more": "", "prediction.label": "'@x", "prediction.probabilities.@x": "0.75",
         "prediction.probabilities.b": "0.25", "prediction.error": ""},
        {"text": 'a,"b"\nc', "n": "", "more": '[1180591620717411303424,{"k":"é"}]', "prediction.label": "", "prediction.probabilities.@x": "",
         "prediction.probabilities.b": "", "prediction.error": "empty text"},
    ]  # fmt: skip


@pytest.mark.parametrize("write", [write_jsonl, write_csv])
def test_the_file_need_not_fit_in_memory(tmp_path: Path, write) -> None:
    def rows():
        return (({"id": f"r:{n}", "columns": {"text": "word " * 200}}, {"label": "a"}) for n in range(10_000))

    write(tmp_path / "small", lambda: iter(ROWS))  # imports are not counted
    tracemalloc.start()
    write(tmp_path / "out", rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "out").stat().st_size > 10_000_000 > 10 * peak
