"""The parts of the training benchmark that train nothing: its recipe is valid, its rows are the rewritten ones, its clock reads a process."""

import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from recipekit.schemas.recipe import load_recipe

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    pytest.importorskip("yaml")
    sys.path.insert(0, str(FOLDER))
    spec = importlib.util.spec_from_file_location("benchmark_train", FOLDER / "train.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(str(FOLDER))
    return module


def test_its_recipe_is_valid_and_has_the_guides_numbers(benchmark, tmp_path):
    rows = [json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "metadata": {}})]
    training = load_recipe(str(benchmark.write(tmp_path / "x", rows, rows, steps=6))).recipe.training
    assert (training.lora_r, training.lora_alpha, training.lora_dropout) == (16, 32, 0.05)
    assert (training.micro_batch_size, training.gradient_accumulation_steps, training.learning_rate) == (4, 4, 2e-4)
    assert not training.gradient_checkpointing and not training.sample_packing


def test_its_rows_are_rewritten_conversations_each_once(benchmark, tmp_path):
    lines = [json.dumps({"n": n, "metadata": {"augmented": n != 2}}) for n in (1, 2, 1, 3)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n")
    assert [json.loads(line)["n"] for line in benchmark.rows_of(tmp_path / "rows.jsonl")] == [1, 3]


def test_its_clock_counts_the_seconds_of_a_process_between_its_events(benchmark):
    clock = benchmark.Clock()
    clock({"event": "train", "pid": os.getpid()})
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    clock({"event": "stage", "name": "save"})
    clock({"event": "stage", "name": "save"})  # the second of the same kind is not taken
    wall, cpu = clock.between("train", "stage save")
    assert 0 < cpu <= wall + 0.05  # the system counts in hundredths of a second
