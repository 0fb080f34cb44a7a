"""What a run refuses before it starts a trainer. What needs the trainer: test_run.py."""

import json

import pytest
from recipekit.runner.runtime.console import Display
from recipekit.runner.runtime.run_files import LOCK
from recipekit.runner.runtime.run_folder import create
from recipekit.runner.runtime.seals import write_seal
from recipekit.runner.workflows.run import execute, run_recipe
from recipekit.schemas.base.errors import GateError, UserError
from recipekit.schemas.recipe import load_recipe

from ...support.jsonl import write_jsonl
from ...support.run_files import lock_with
from ...support.tiny import emogpt_rows, write_recipe


@pytest.fixture
def tiny(tmp_path):
    """A recipe whose model is a folder that could be loaded only as far as its config.json."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    return write_recipe(tmp_path, tmp_path / "model")


@pytest.fixture
def refused(tiny, tmp_path):
    """Runs the recipe with settings and gives the run's status and the error."""

    def run(*settings, error=UserError):
        with pytest.raises(error) as caught, Display() as display:
            run_recipe(load_recipe(str(tiny), settings), tmp_path / "runs", display)
        (status,) = (tmp_path / "runs").glob("tiny/*/status.json")
        return json.loads(status.read_text()), caught.value

    return run


def test_an_evaluation_beyond_the_end_is_reported_before_training(refused):
    status, error = refused("training.eval_steps=45", "training.num_epochs=4")
    assert [p.what for p in error.problems] == ["training.eval_steps: 45 is beyond the end of the run, which takes 44 steps for 42 rows"]
    assert error.problems[0].location.file == "--set training.eval_steps=45"
    assert status["state"] == "failed" and list(status["stages"]) == ["data"]


def test_a_classifier_that_is_not_there_is_reported_before_anything_runs(tiny, tmp_path):
    place = f"evaluation.sentiment_model={tmp_path / 'nowhere'}"
    with pytest.raises(UserError) as caught, Display() as display:
        run_recipe(load_recipe(str(tiny), (place,)), tmp_path / "runs", display)
    (problem,) = caught.value.problems
    assert (problem.what, problem.location.file) == (f"{tmp_path / 'nowhere'}: no such model folder", f"--set {place}")
    assert not (tmp_path / "runs").exists()


def test_no_row_to_evaluate_on_is_reported_before_training_not_after(refused, tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", emogpt_rows(2))
    status, error = refused("training.eval_steps=1", "training.save_steps=1", "data.split.validation=0.01")
    assert "the validation split has no rows to evaluate on" in str(error)
    assert status["state"] == "failed" and "no rows to evaluate on" in status["reason"]


def test_bad_rows_beyond_the_budget_leave_no_data(refused, tmp_path):
    write_jsonl(tmp_path / "rows.jsonl", [*emogpt_rows(8), {"messages": []}])
    status, error = refused()
    assert "rows.jsonl:9" in str(error)
    assert (status["state"], status["stages"]) == ("failed", {})
    assert list((tmp_path / "runs").glob("tiny/*/data")) == []


def test_a_leak_is_a_gate_and_the_run_says_refused(refused, tmp_path):
    sources = "[{path: rows.jsonl, converter: emogpt, split: train}, {path: more.jsonl, converter: emogpt, split: validation}]"
    write_jsonl(tmp_path / "more.jsonl", emogpt_rows(2))
    (tmp_path / "tiny.yml").write_text(
        (tmp_path / "tiny.yml").read_text().replace("[{path: rows.jsonl, converter: emogpt}]", sources).replace("exact", "none")
    )
    status, error = refused("data.dedup=none", error=GateError)
    assert error.exit_code == 3
    assert status["state"] == "refused"


@pytest.mark.parametrize(("made_by", "message"), [({"torch": "0.0.1"}, "packages.torch was 0.0.1"), ({}, "a different training")])
def test_a_checkpoint_of_another_training_is_never_resumed(tiny, tmp_path, made_by, message):
    loaded = load_recipe(str(tiny))
    run = create("tiny", "abcdef", tmp_path / "runs")
    run.update(recipe="tiny", state="interrupted", stages={})
    run.write(LOCK, lock_with(train_key="another", packages=made_by))
    checkpoint = run / "checkpoints" / "checkpoint-4"
    checkpoint.mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(b"weights")
    write_seal(checkpoint)
    with pytest.raises(UserError, match=message) as caught, Display() as display:
        execute(run, loaded, tmp_path / "runs", display)
    assert "checkpoint-4 belongs to a different training" in str(caught.value)
    assert run.read(LOCK)["train_key"] == "another"  # so that it is refused the next time too
    assert not (run / "train.log").exists()


def test_a_locked_run_is_not_changed(tiny, tmp_path):
    run = create("tiny", "abcdef", tmp_path / "runs")
    run.update(recipe="tiny", state="interrupted", stages={})
    before = (run / "status.json").read_bytes()
    with run.locked(), pytest.raises(UserError, match="is in use by process"), Display() as display:
        execute(run, load_recipe(str(tiny)), tmp_path / "runs", display)
    assert (run / "status.json").read_bytes() == before
