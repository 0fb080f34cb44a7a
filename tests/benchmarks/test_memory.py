"""The memory prediction against published measurements: the page is what the script writes, and the goals that were met stay met."""

import importlib.util
import json
from pathlib import Path

import pytest

from ..support.paths import ROOT

SCRIPT = ROOT / "benchmarks" / "memory.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_memory", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_script_writes(benchmark):
    note = json.loads(benchmark.ROWS.read_text())["note"]
    written = (ROOT / "docs" / "gpu" / "memory.md").read_text()
    assert written == benchmark.page(list(benchmark.rows()), note), "python benchmarks/memory.py --write docs/gpu/memory.md"


def test_the_prediction_meets_its_goals_on_all_rows_and_on_those_it_was_not_fitted_to(benchmark):
    rows = list(benchmark.rows())
    held_out = [row for row in rows if row.model != benchmark.FITTED]
    assert len(rows) >= 68 and len(held_out) > len(rows) / 2
    for found in map(benchmark.summary, (rows, held_out)):
        assert found["median_error"] <= 0.08 and found["p90_error"] <= 0.2
        assert found["share_10_percent_under"] == 0


def test_no_published_row_is_beyond_the_peak_that_is_called_possible(benchmark):
    assert benchmark.summary(list(benchmark.rows()))["share_above_most"] == 0


def test_sums_of_errors_by_hand(benchmark):
    rows = [benchmark.Row("m", "g", "s", "c", 100, predicted) for predicted in (80, 95, 100, 104, 130)]
    found = benchmark.summary(rows)
    assert found == {
        "rows": 5,
        "median_error": 0.05,
        "p90_error": 0.3,
        "share_10_percent_under": 0.2,
        "share_above_most": 0.2,
        "worst_under": -0.2,
        "worst_over": 0.3,
    }


def test_the_published_rows_have_the_parameters_of_their_models(benchmark):
    published = json.loads(benchmark.ROWS.read_text())
    sizes = {name: benchmark.size_of(config).parameters / 1e9 for name, config in published["models"].items()}
    assert {name: round(size, 1) for name, size in sizes.items()} == {
        "Qwen-1.8B": 1.8, "Qwen-7B": 7.7, "Qwen-14B": 14.2, "Llama-2-7B": 6.7, "Llama-2-13B": 13.0}  # fmt: skip
    assert all(Path(group["source"].split(" ")[0]).name for group in published["groups"])
