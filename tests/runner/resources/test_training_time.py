"""Time: predicted from what was measured on this machine with this method, or not at all."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.runner.resources.training_time import (
    Rate,
    duration,
    earlier_timings,
    error,
    measured_line,
    method,
    past_errors,
    predict,
    rate_of,
    timing,
)
from recipekit.runner.runtime.machine import Machine
from recipekit.runner.runtime.run_files import TIMING
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.runtime.seals import seal_files
from recipekit.schemas.model_rules import EMBEDDED
from recipekit.schemas.sections import Recipe

CPU = Machine(memory=64 << 30, cores=8)
GPU = Machine("cuda", 1, "a card", 16 << 30, True)
ENDED = {"steps": 10, "tokens": 5000, "seconds": 20.0, "whole": True, "resumed": False}


def run_of(root: Path) -> RunFolder:
    run = RunFolder(root / "small" / "1")
    run.update(state="done")
    return run


@pytest.fixture
def of(minimal):
    return lambda changes=None: Recipe.from_values(minimal(changes))


def test_a_run_of_the_same_method_gives_the_rate_of_the_next(of, tmp_path):
    run_of(tmp_path).write(TIMING, timing(of(), CPU, 10_000, 2500, ENDED, None))
    rate = rate_of(earlier_timings(tmp_path)[0], method(of(), CPU))
    assert rate == Rate(250.0, 0.25, "1 earlier run on this machine")
    found = predict(of({"training.num_epochs": 3}), 40, 20_000, rate)
    assert (found.tokens, found.seconds) == (15_000, 60.0)


def test_several_runs_say_how_far_apart_they_are(of):
    runs = [timing(of(), CPU, 10_000, 2500, ENDED | {"seconds": seconds}, None) for seconds in (10.0, 20.0, 2.5)]
    assert rate_of(runs, method(of(), CPU)) == Rate(500.0, 0.25, "3 earlier runs on this machine, at 250 to 2,000 tokens/s")


@pytest.mark.parametrize(
    "changes",
    [
        {"training.micro_batch_size": 7},
        {"training.adapter": "none"},
        {"model.base_model": "some/other"},
        {"training.lora_r": 3},
        {"training.load_in_8bit": True},
        {"training.kernels": "off"},
        {"training.lora_dropout": 0},
        {"training.optimizer": "sgd"},
        {"training.deterministic": True},
        {"launch.offload_optimizer": True},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_method_or_machine_gives_no_rate(of, changes):
    known = [timing(of(), CPU, 10_000, 2500, ENDED, None)]
    assert rate_of(known, method(of(changes), CPU)) is None
    assert rate_of(known, method(of(), GPU)) is None
    assert rate_of([], method(of(), CPU)) is None


@pytest.mark.parametrize("changes", [{"has_liger": False}, {"has_compiler": False}], ids=lambda changes: next(iter(changes)))
def test_a_rate_without_a_kernel_is_not_that_of_a_training_with_it(of, changes):
    recipe = of({"model.base_model": EMBEDDED, "training.lora_dropout": 0})
    without = [timing(recipe, GPU._replace(**changes), 10_000, 2500, ENDED, None)]
    assert rate_of(without, method(recipe, GPU)) is None
    assert rate_of(without, method(recipe, GPU._replace(**changes)))
    off = of({"model.base_model": EMBEDDED, "training.kernels": "off"})
    same = [timing(off, GPU._replace(**changes), 10_000, 2500, ENDED, None)]
    assert rate_of(same, method(off, GPU)), "what is installed and not used changes nothing"


def test_a_run_that_took_no_step_gives_no_rate(of):
    idle = timing(of(), CPU, 10_000, 2500, ENDED | {"tokens": 0, "seconds": 0.0}, None)
    assert rate_of([idle], method(of(), CPU)) is None


def test_max_steps_count_the_rows_that_they_see(of):
    recipe = of({"training.max_steps": 5, "training.micro_batch_size": 2, "training.gradient_accumulation_steps": 2})
    assert predict(recipe, 40, 10_000, Rate(100, 0.4, "")).tokens == 2000, "5 steps of 4 rows are half an epoch of 4,000 tokens"


def test_packed_max_steps_count_blocks(of):
    recipe = of({"training.max_steps": 5, "training.sample_packing": True, "training.sequence_len": 100, "training.micro_batch_size": 1})
    assert predict(recipe, 4000, 10_000, Rate(100, 0.4, "")).tokens == 500, "5 of the 40 blocks that 4,000 tokens fill"


def test_an_error_needs_a_prediction_and_a_training_from_its_beginning_to_its_end(of):
    guess = predict(of(), 40, 10_000, Rate(125, 0.25, "3 earlier runs on this machine"))
    line = timing(of(), CPU, 10_000, 2500, ENDED, guess)
    assert error(line) == pytest.approx(guess.seconds / 20 - 1)
    assert error(line | {"whole": False}) is None and error(line | {"predicted": None}) is None
    assert past_errors([line, line | {"predicted": None}], "8 CPU cores") == [error(line)]
    assert past_errors([line], "1 x a card") == []
    assert "predicted" in measured_line(line) and measured_line(line | {"predicted": None}) == "trained for 20 s"


@pytest.mark.parametrize("damage", [lambda path: path.write_text("{"), lambda path: path.unlink()], ids=["damaged", "missing"])
def test_a_timing_that_is_not_as_it_was_written_is_named(of, tmp_path, damage):
    run = run_of(tmp_path)
    assert earlier_timings(tmp_path) == ([], []), "an older run has none"
    run.write(TIMING, timing(of(), CPU, 10_000, 2500, ENDED, None))
    seal_files(run.path, [TIMING.name])
    damage(run / TIMING.name)
    assert earlier_timings(tmp_path) == ([], [str(run / TIMING.name)])


@given(st.floats(1, 1e6), st.floats(0.01, 2), st.integers(1, 10**9))
def test_twice_the_data_take_twice_as_long(minimal_recipe, rate, ratio, size):
    one, two = (predict(minimal_recipe, 10, size * times, Rate(rate, ratio, "")).seconds for times in (1, 2))
    assert two == pytest.approx(2 * one, rel=1e-2, abs=2 / rate)


@pytest.fixture(scope="module")
def minimal_recipe():
    data = {"type": "chat", "sources": [{"path": "/x.jsonl", "converter": "messages"}]}
    values = {"recipe": 1, "name": "x", "model": {"base_model": "a/b"}, "data": data}
    return Recipe.from_values(values | {"training": {"adapter": "lora", "learning_rate": 1e-4}})


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (272, "4 min 32 s"), (11_530, "3 h 12 min")])
def test_durations_are_readable(seconds, text):
    assert duration(seconds) == text
