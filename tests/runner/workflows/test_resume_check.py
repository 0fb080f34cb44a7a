"""`recipe verify-resume`: which kills are tried, and with the real Axolotl that a killed training ends in the same bits."""

import json
import os
from pathlib import Path

import pytest
from recipekit.runner.runtime.machine import Machine
from recipekit.runner.workflows.resume_check import (
    LOSS_TOLERANCE,
    Guarantee,
    Kill,
    ResumeReport,
    guarantee_of,
    kill_points,
    overrides,
    prepare,
)
from recipekit.schemas.base.errors import Interrupted, Location, Problem, UserError
from recipekit.schemas.recipe import load_recipe
from recipekit.schemas.sections import Training

from ...support.tiny import write_classification, write_recipe, write_text
from ...support.waiting import wait_until

KILLS = os.environ.get("RECIPEKIT_KILLS", "2")  # a storm: RECIPEKIT_KILLS=200
FURTHER = bool(os.environ.get("RECIPEKIT_KILLS"))  # the methods that train through the same code, when there is time
FULL = [f"training.{key}=null" for key in ("lora_r", "lora_alpha", "lora_dropout")]
TRIALS = {
    # nothing of it fills a batch: 42 rows in blocks, two of them a step, the last step of an epoch has one
    "full, packed": (write_recipe, "tiny.yml", ["training.adapter=none", "training.sample_packing=true", *FULL,
                     "training.micro_batch_size=1", "training.gradient_accumulation_steps=2", "training.sequence_len=400"], KILLS),
    "qlora, classification": (write_classification, "types.yml", ["training.adapter=qlora", "training.micro_batch_size=4",
                              "training.gradient_accumulation_steps=4"], "0"),
    "text": (write_text, "text.yml", ["training.micro_batch_size=8"], "0"),
    "lora, stopped early": (write_recipe, "tiny.yml", ["training.gradient_accumulation_steps=3", "training.lr_scheduler=constant",
                            "training.early_stopping_patience=2", "training.load_best_model_at_end=true", "training.eval_steps=4",
                            "training.save_steps=4"], "0"),
}  # fmt: skip
if FURTHER:
    TRIALS |= {
        "lora": (write_recipe, "tiny.yml", ["training.gradient_accumulation_steps=3"], "0"),
        "qlora": (write_recipe, "tiny.yml", ["training.adapter=qlora", "training.micro_batch_size=16"], "0"),
        "full classification": (write_classification, "types.yml", ["training.adapter=none", *FULL[:2], "training.lora_target_modules=null",
                                "training.micro_batch_size=16"], "0"),
    }  # fmt: skip


EXACT, CLOSE = Guarantee(0, "every bit"), Guarantee(LOSS_TOLERANCE, "losses within 2 %")
GPU = Machine("cuda", 1, "a GPU", 80 << 30, True)
PLAIN = Training("lora", 1e-4)


def lines(*epochs):
    return [{"step": step, "epoch": epoch, "loss": 1.0} for step, epoch in enumerate(epochs, 1)]


@pytest.mark.parametrize(
    ("epochs", "cuts"),
    [
        ((0.33, 0.67, 1.0, 1.33, 1.67, 2.0, 2.33, 2.67), [("at an epoch's end", 3), ("within an epoch", 5)]),
        ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8), [("within an epoch", 6)]),
        ((1.0, 2.0, 3.0, 4.0), [("at an epoch's end", 1)]),
        ((0.5, 1.0, 1.5, 2.0), [("within an epoch", 1), ("at an epoch's end", 2)]),
    ],
    ids=["three steps an epoch", "no epoch ends", "every step ends one", "the order of the steps"],
)
def test_kills_are_at_an_epochs_end_and_within_an_epoch(epochs, cuts):
    assert kill_points(lines(*epochs), len(epochs)) == cuts


@pytest.fixture
def settings(tmp_path, recipe_file):
    def of(*given, **how):
        path = recipe_file("recipe: 1\nname: small\nmodel: {base_model: a/b}\ndata:\n  type: chat\n"
                           "  sources: [{path: rows.jsonl, converter: messages}]\ntraining: {adapter: lora, learning_rate: 1e-4}\n")  # fmt: skip
        recipe_file("", "rows.jsonl")
        return overrides(load_recipe(str(path), given), 4, **how)

    return of


def test_a_trial_takes_twice_the_steps_and_keeps_a_checkpoint_of_each(settings):
    assert set(settings()) >= {"training.max_steps=8", "training.save_steps=1", "training.logging_steps=1"}


def test_the_resume_check_overrides_early_stopping(settings):
    found = settings(*(f"training.{key}={value}" for key, value in {
        "load_best_model_at_end": "true", "early_stopping_patience": 2, "eval_steps": 50, "save_steps": 100, "warmup_steps": 30}.items()))  # fmt: skip
    assert set(found) >= {"training.load_best_model_at_end=null", "training.early_stopping_patience=null", "training.eval_steps=4",
                          "training.warmup_steps=4"}  # fmt: skip


def test_early_stopping_is_tried_where_the_recipe_has_it(settings):
    """A patience that would not end within the steps of the check is shortened."""
    given = tuple(f"training.{key}={value}" for key, value in {
        "load_best_model_at_end": "true", "early_stopping_patience": 9, "eval_steps": 50, "save_steps": 100}.items())  # fmt: skip
    found = settings(*given, stops_early=True)
    assert set(found) == {"training.max_steps=8", "training.save_steps=1", "training.logging_steps=1", "training.eval_steps=1",
                          "training.early_stopping_patience=4"}  # fmt: skip


def test_a_smoke_run_takes_the_steps_that_are_asked_for():
    quickstart = str(Path(__file__).parents[3] / "recipes" / "quickstart.yml")
    changed = overrides(load_recipe(quickstart, (), smoke=True), 3)
    training = load_recipe(quickstart, changed, smoke=True).recipe.training
    assert (training.max_steps, training.save_steps, training.eval_steps) == (6, 1, 3)


def orphans(folder: Path) -> list[str]:
    """Processes that still have the folder, or one in it, as their working directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found += [process.name] if (process / "cwd").resolve().is_relative_to(folder.resolve()) else []
        except OSError:
            continue
    return found


@pytest.mark.train
@pytest.mark.long
@pytest.mark.parametrize("name", TRIALS)
def test_a_training_that_was_killed_ends_in_the_same_bits(tmp_path, tiny_model, tiny_gpt2, recipe, name):
    write, file, settings, kills = TRIALS[name]
    write(tmp_path, tiny_gpt2 if write is write_text else tiny_model)
    given = [part for setting in settings for part in ("--set", setting)]
    done = recipe("verify-resume", file, *given, "--kills", kills, "--json", cwd=tmp_path, timeout=1800 + 60 * int(kills))
    assert done.returncode == 0, done.stderr
    proof = json.loads(done.stdout)
    assert proof["same"] and proof["bit_identical"] and "on a CPU" in proof["guaranteed"] and proof["steps"] == 8
    assert set(proof["parts"]) == {"losses", "weights", "optimizer", "schedule", "random numbers", "model"}
    moments = {kill["when"].split(",")[0] for kill in proof["kills"]}
    assert moments >= {"at an epoch's end", "within an epoch", "at the end"}
    assert ("after early stopping in step 3" in moments) == ("stopped early" in name), "one kill more"
    assert sum("random" in kill["when"] for kill in proof["kills"]) == int(kills)
    wait_until(lambda: orphans(tmp_path) == [])
    assert list((tmp_path / "runs").iterdir()) == [], "nothing is left behind"


@pytest.mark.train
@pytest.mark.long
def test_early_stopping_survives_a_kill(tmp_path, tiny_model):
    """At such a rate the loss is soon at its best, two evaluations more wait, and it ends. Killed in its last step, it must know that it
    has waited once."""
    path = write_recipe(tmp_path, tiny_model)
    changes = {"max_steps": 32, "learning_rate": 0.3, "lr_scheduler": "constant", "eval_steps": 1, "save_steps": 1, "logging_steps": 1,
               "early_stopping_patience": 2}  # fmt: skip
    loaded = load_recipe(str(path), tuple(f"training.{key}={value}" for key, value in changes.items()))
    whole, killed = (prepare(loaded, tmp_path, tmp_path / name, lambda event: None) for name in ("whole", "killed"))
    assert whole.train() == ("the beginning", True)
    evaluated = {line["step"]: line["eval_loss"] for line in whole.lines() if "eval_loss" in line and line["step"]}
    last = max(evaluated)
    assert min(evaluated, key=lambda step: evaluated[step]) == last - 2 and last < 32
    assert killed.train(kill_at=last) == ("the beginning", False)
    assert killed.train() == (f"checkpoint-{last - 1}", True)
    assert not any(whole.compare(killed, last).values()), "the same step is the last, and every bit is the same"


def test_another_result_exits_3_with_the_first_difference(tmp_path, settings, command_line, monkeypatch):
    """What the comparison finds: test_same_state.py."""
    settings()
    parts = {"losses": "step 7: loss is 2.5 and 2.25", "weights": "", "optimizer": ""}
    monkeypatch.setattr(
        "recipekit.runner.workflows.resume_check.check_resume",
        lambda *_: ResumeReport(8, [Kill("within an epoch, in step 7", "checkpoint-6")], parts, EXACT),
    )
    outcome = command_line("verify-resume", tmp_path / "small.yml", "--runs-dir", tmp_path / "runs")
    assert outcome.code == 3
    assert "losses: step 7: loss is 2.5 and 2.25" in outcome.err and "checkpoint-6" in outcome.out
    (kept,) = (tmp_path / "runs").iterdir()
    assert f"both trainings are in {kept}" in outcome.err


@pytest.mark.parametrize(
    ("error", "trained", "code", "kept"),
    [
        (UserError("a/b: not found"), False, 1, False),
        (UserError("training failed, see train.log"), True, 1, True),
        (Interrupted(Problem(Location(""), "training was stopped by SIGINT", "recipe resume x", "interrupted")), True, 130, False),
        (KeyboardInterrupt(), True, 130, False),
    ],
    ids=["refused before training", "a failed training", "stopped in training", "stopped between trainings"],
)
def test_only_a_training_that_failed_leaves_its_folder(tmp_path, settings, command_line, monkeypatch, error, trained, code, kept):
    settings()

    def end(loaded, root, folder, *_):
        (folder / "whole").mkdir()
        if trained:
            (folder / "whole" / "train.log").write_text("step 1\n")
        raise error

    monkeypatch.setattr("recipekit.runner.workflows.resume_check.check_resume", end)
    outcome = command_line("verify-resume", tmp_path / "small.yml", "--runs-dir", tmp_path / "runs")
    assert outcome.code == code and "recipe resume" not in outcome.err
    assert bool(list((tmp_path / "runs").iterdir())) == kept


@pytest.mark.parametrize(
    ("training", "machine", "exact"),
    [(PLAIN, Machine(), True), (PLAIN, GPU, False), (PLAIN._replace(deterministic=True), GPU, True)],
    ids=["a CPU", "a GPU", "a GPU with deterministic kernels"],
)
def test_bits_are_guaranteed_on_a_cpu_and_of_deterministic_kernels(training, machine, exact):
    found = guarantee_of(training, machine)
    assert found.is_exact("weights") == found.is_exact("losses") == exact
    assert found.is_exact("random numbers") and found.is_exact("schedule")


def test_on_a_gpu_only_losses_beyond_the_tolerance_break_the_guarantee():
    parts = {"losses": "step 7: loss is 2.5 and 2.51", "weights": "a[0] is 1 and 2", "schedule": "", "random numbers": ""}
    assert ResumeReport(8, [], parts, CLOSE).different == {}
    assert set(ResumeReport(8, [], parts, EXACT).different) == {"losses", "weights"}
    far = ResumeReport(8, [], parts | {"schedule": "[last_epoch] is 7 and 8"}, CLOSE, "step 8: loss is 2.5 and 3.5")
    assert far.different == {"losses": "step 8: loss is 2.5 and 3.5", "schedule": "[last_epoch] is 7 and 8"}


def test_the_output_says_what_is_guaranteed_and_what_differs_all_the_same(tmp_path, settings, command_line, monkeypatch):
    settings()
    parts = {"losses": "step 7: loss is 2.5 and 2.51", "weights": "a[0] is 1 and 2", "schedule": ""}
    report = ResumeReport(8, [Kill("within an epoch, in step 7", "checkpoint-6")], parts, CLOSE)
    monkeypatch.setattr("recipekit.runner.workflows.resume_check.check_resume", lambda *_: report)
    outcome = command_line("verify-resume", tmp_path / "small.yml", "--runs-dir", tmp_path / "runs")
    assert outcome.code == 0 and "guaranteed: losses within 2 %" in outcome.out
    assert "the same within 2%; step 7: loss is 2.5 and 2.51" in outcome.out and "a[0] is 1 and 2 (not guaranteed)" in outcome.out
