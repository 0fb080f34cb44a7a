"""`recipe plan` as a person starts it: figures that can be worked out, and what cannot fit."""

import json

import pytest
from recipekit.runner.resources import fit
from recipekit.runner.resources.training_time import Prediction, timing
from recipekit.runner.runtime.machine import this_machine
from recipekit.runner.runtime.run_files import TIMING
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.schemas.recipe import load_recipe

from ....support.jsonl import write_jsonl
from ....support.tiny import emogpt_rows

TEXT = """recipe: 1
name: small
model: {base_model: openai-community/gpt2}
data: {type: chat, sources: [{path: rows.jsonl, converter: emogpt}], split: {validation: 0.125, seed: 7}}
training: {adapter: none, learning_rate: 1e-4, micro_batch_size: 2, gradient_accumulation_steps: 3, num_epochs: 2, sequence_len: 128}
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECIPEKIT_DEVICE", "cpu")
    monkeypatch.setattr(fit, "available_memory", lambda: 16 << 30)  # whatever this machine has left
    monkeypatch.setattr(fit, "free_disk", lambda folder: 100 << 30)
    write_jsonl(tmp_path / "rows.jsonl", emogpt_rows(48))
    (tmp_path / "small.yml").write_text(TEXT)
    return "small.yml"


def test_steps_and_sizes_are_computed_and_nothing_is_left_behind(small, command_line, tmp_path):
    outcome = command_line("plan", small, "--json")
    facts = json.loads(outcome.out)
    assert outcome.code == 0 and facts["problems"] == []
    assert facts["splits"] == {"train": 42, "validation": 6}
    assert facts["batch"] == {"micro_batch_size": 2, "gradient_accumulation_steps": 3, "processes": 1,
                              "why": "training.micro_batch_size", "rows": 6}  # fmt: skip
    assert facts["steps"] == 14
    assert facts["model"]["parameters"] == facts["needs"]["trained_parameters"] == 124_439_808
    assert facts["needs"]["memory"]["parts"]["optimizer"] == 8 * 124_439_808
    assert sum(facts["needs"]["memory"]["parts"].values()) == facts["needs"]["memory"]["needed"]
    assert {path.name for path in tmp_path.iterdir()} == {"small.yml", "rows.jsonl"}


def test_every_recipe_of_a_sweep_is_planned(small, command_line, tmp_path):
    (tmp_path / "sweep.yml").write_text(TEXT + "matrix: {training.gradient_accumulation_steps: [1, 3]}\n")
    plans = json.loads(command_line("plan", "sweep", "--json").out)["plans"]
    assert [plan["steps"] for plan in plans] == [42, 14] and len({plan["recipe"] for plan in plans}) == 2
    assert command_line("plan", "sweep").err.endswith("next: recipe run sweep\n")
    assert command_line("plan", "sweep", "--probe").code == 2


def test_emogpt_fits_a_gpu_of_8_gb(command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for recipe in ("emogpt_qwen", "emogpt_qwen_conservative", "emogpt_qwen_aggressive"):
        outcome = command_line("plan", recipe, "--machine", "gpu:8", "--json")
        memory = json.loads(outcome.out)["needs"]["memory"]
        assert outcome.code == 0 and memory["device"] == "a GPU with 8 GB" and memory["available"] == 8 << 30
        assert memory["needed"] < 0.75 * (8 << 30), "without a warning, at sequence_len tokens in every row"
    assert command_line("plan", "emogpt_qwen", "--machine", "gpu:1").code == 1


@pytest.mark.parametrize("name", ["gpu:", "gpu:0", "gpu:8GB", "tpu", ""])
def test_an_unknown_machine_is_refused(small, command_line, name):
    assert command_line("plan", small, "--machine", name).code == 2


def test_without_a_measured_rate_the_time_is_unknown(small, command_line):
    outcome = command_line("plan", small, "--price-per-hour", "2")
    assert "unknown: no earlier run of this method" in outcome.out and "cost" not in outcome.out
    time = json.loads(command_line("plan", small, "--price-per-hour", "2", "--json").out)["time"]
    assert time == {
        "tokens": None,
        "seconds": None,
        "source": None,
        "cost": None,
        "past_errors": [],
        "damaged_timings": [],
        "failed_probe": None,
    }


def test_an_earlier_runs_rate_gives_time_and_cost_with_the_errors_of_past_predictions(small, command_line, tmp_path):
    facts = json.loads(command_line("plan", small, "--json").out)
    ended = {"steps": 14, "tokens": 7200, "seconds": 3600.0, "whole": True, "resumed": False}
    recipe = load_recipe(small).recipe
    line = timing(recipe, this_machine(), facts["data_bytes"], 3600, ended, Prediction(7200, 3240.0, "a probe of 2 steps"))
    earlier = RunFolder(tmp_path / "runs" / "small" / "20261128-000000-abcdef")
    earlier.update(state="done")
    earlier.write(TIMING, line)
    outcome = command_line("plan", small, "--price-per-hour", "2.5")
    assert "1 h 0 min of training, by 1 earlier run" in outcome.out and "off by -10%" in outcome.out
    assert "7,200" in outcome.out and "2.50" in outcome.out
    assert "unknown" in command_line("plan", small, "--set", "training.micro_batch_size=3").out


def test_a_probe_is_of_this_machine(small, command_line):
    assert command_line("plan", small, "--probe", "--machine", "gpu").code == 2


def test_the_plan_lists_every_part(small, command_line):
    outcome = command_line("plan", small)
    assert "2 x 3 x 1 = 6 rows per step" in outcome.out
    assert "124,439,808 parameters" in outcome.out
    assert "at 128 tokens per row" in " ".join(outcome.out.split()) and "996 MB  optimizer" in outcome.out


AUTO = ["--set", "training.micro_batch_size=auto", "--set", "training.gradient_accumulation_steps=null",
        "--set", "training.global_batch_size=16"]  # fmt: skip


def test_auto_fills_the_card_and_says_why(command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chosen = []
    for gpu in ("gpu:3", "gpu:24"):
        facts = json.loads(command_line("plan", "emogpt_qwen", *AUTO, "--machine", gpu, "--json").out)
        assert facts["batch"]["rows"] == 16 and facts["steps"] == 21
        chosen.append(facts["batch"]["micro_batch_size"])
    assert chosen[0] < chosen[1] == 16
    assert "the largest of 16, 8, 4, 2, 1 that fits" in facts["batch"]["why"] and facts["needs"]["memory"]["per"] == "forward pass"
    assert "micro_batch_size 16: the largest" in command_line("plan", "emogpt_qwen", *AUTO, "--machine", "gpu:24").out


def test_a_run_that_cannot_fit_exits_1(small, command_line):
    outcome = command_line("plan", small, "--set", "model.base_model=meta-llama/Llama-2-7b-hf", "--set", "training.save_total_limit=1000")
    assert outcome.code == 1
    assert "the checkpoints do not fit on the disk" in outcome.err and "does not fit in memory" in outcome.err


@pytest.mark.parametrize("setting", ["training.eval_steps=15", "training.warmup_steps=14"])
def test_steps_beyond_the_run_exit_1(small, command_line, setting):
    outcome = command_line("plan", small, "--set", setting)
    assert outcome.code == 1 and setting.partition("=")[0] in outcome.err


def test_an_unknown_architecture_gets_no_note(small, command_line, tmp_path):
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "config.json").write_text('{"model_type": "odd"}')
    outcome = command_line("plan", small, "--set", f"model.base_model={tmp_path / 'odd'}", "--json")
    facts = json.loads(outcome.out)
    assert (facts["model"], facts["needs"], facts["unknown"]) == (None, None, "the model's size")
    assert facts["steps"] == 14 and outcome.code == 0


def test_how_many_blocks_texts_fill_is_not_guessed(small, command_line, tmp_path):
    (tmp_path / "texts.train").write_text("".join(f"the {n}. line has as many words as babylm wants a line to have\n" for n in range(4)))
    (tmp_path / "text.yml").write_text(
        "recipe: 1\nname: texts\nmodel: {base_model: openai-community/gpt2}\n"
        "data: {type: text, sources: [{path: texts.train, converter: babylm}], split: {validation: 0.25}}\n"
        "training: {adapter: none, learning_rate: 1e-4}\n"
    )
    assert json.loads(command_line("plan", "text.yml", "--json").out)["steps"] is None
    assert "known once the texts are tokenised" in command_line("plan", "text.yml").out


def test_without_a_row_to_train_on_no_step_is_counted(small, command_line, tmp_path):
    sources = f"data.sources=[{{path: {tmp_path / 'rows.jsonl'}, converter: emogpt, split: test}}]"
    outcome = command_line("plan", small, "--set", sources)
    assert (outcome.code, outcome.out) == (1, "")
    assert "the train split has no rows to train on" in outcome.err and "rows were read: add rows" in outcome.err


def test_without_any_row_no_step_is_counted(small, command_line, tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", [])
    outcome = command_line("plan", small)
    assert (outcome.code, outcome.out) == (1, "")
    assert "the sources have no rows" in outcome.err


def test_missing_generated_rows_are_named_with_the_command(command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = command_line("plan", "introspection_smollm")
    assert (outcome.code, outcome.out) == (1, "")
    assert "the rows have not been generated yet" in outcome.err
    assert "hint: run recipe generate introspection_smollm; recipe run also generates them" in outcome.err


def test_without_a_row_to_evaluate_on_the_plan_is_refused_as_the_run_would_be(small, command_line, tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", emogpt_rows(3))
    outcome = command_line("plan", small)
    assert outcome.code == 1 and "the validation split has no rows to evaluate on" in outcome.err
