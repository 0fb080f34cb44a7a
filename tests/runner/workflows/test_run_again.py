"""A run that has trained is never trained again: evaluated elsewhere, later, with other packages, from where it was killed."""

import html
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from recipekit.runner.runtime.console import Display
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.runtime.seals import seal_files, unseal_files, write_seal
from recipekit.runner.stages.predictions import take_over_base
from recipekit.runner.stages.stage import finished_run
from recipekit.runner.workflows import run as run_module
from recipekit.runner.workflows.run import run_recipe
from recipekit.schemas.recipe import load_recipe

from ...support.held_process import held_after_lines, let_go, wait_for_held
from ...support.jsonl import read_jsonl
from ...support.recipe_process import start
from ...support.waiting import PATIENCE

pytestmark = pytest.mark.train


@pytest.fixture
def aged(trained, tmp_path) -> Path:
    """The run as another machine finds it later: its sources gone, packages upgraded, its keys those of before."""
    run = tmp_path / "runs" / "tiny" / trained.name
    shutil.copytree(trained, run)
    lock = json.loads((run / "lock.json").read_text())
    lock["packages"]["torch"], lock["train_key"] = "0.0.1", "of other packages"
    (run / "lock.json").write_text(json.dumps(lock))
    seal_files(run, ["lock.json"])
    status = json.loads((run / "status.json").read_text())
    status["stages"] |= {"data": "of other sources", "train": "of other packages"}
    (run / "status.json").write_text(json.dumps(status))
    return run


def unchanged(run: Path) -> tuple:
    """What a second training would change."""
    return tuple((run / name).read_bytes() for name in ("model/adapter_model.safetensors", "metrics.jsonl", "lock.json", "train.log"))


def evaluated(outcome) -> dict:
    assert outcome.returncode == 0, outcome.stderr
    return json.loads(outcome.stdout)


def test_a_run_can_be_evaluated_again_without_its_sources(aged, recipe, tmp_path):
    before = unchanged(aged)
    outcome = evaluated(recipe("eval", aged, "--set", "evaluation.max_rows=3", "--json", cwd=tmp_path))
    assert outcome["stages"] == {"data": "done before", "train": "done before", "evaluate": "done", "report": "done"}
    assert outcome["metrics"]["rows"] == 3 and outcome["state"] == "done"
    assert outcome["metrics"]["evaluated_with"]["packages"]["torch"] != "0.0.1"
    assert unchanged(aged) == before


def test_another_sample_prompt_is_answered_without_training_or_predicting_again(trained, recipe, tmp_path):
    run = tmp_path / "runs" / "tiny" / trained.name
    shutil.copytree(trained, run)
    before, predictions = unchanged(run), (run / "eval" / "predictions.jsonl").read_bytes()
    (tmp_path / "prompts.txt").write_text("Hello cat?\n\nHello owl?\n")
    prompts = ("--set", f"evaluation.prompts={{path: {tmp_path / 'prompts.txt'}, generation: {{max_new_tokens: 3}}}}")
    outcome = evaluated(recipe("eval", run, *prompts, "--json", cwd=tmp_path))
    assert outcome["stages"]["train"] == "done before" and outcome["stages"]["evaluate"] == "done"
    found = outcome["metrics"]["prompts"]
    assert [answer["prompt"] for answer in found["tuned"]] == [answer["prompt"] for answer in found["base"]] == ["Hello cat?", "Hello owl?"]
    assert (found["system"], found["generation"]["max_new_tokens"]) == ("Be brief.", 3)
    assert unchanged(run) == before and (run / "eval" / "predictions.jsonl").read_bytes() == predictions
    assert "eval/prompts.json" in {f"eval/{name}" for name in json.loads((run / "eval" / "sealed.json").read_text())}
    assert all(answer["reply"] in html.unescape((run / "report.html").read_text()) for answer in found["tuned"])
    assert evaluated(recipe("eval", run, *prompts, "--json", cwd=tmp_path))["stages"]["evaluate"] == "done before"
    (tmp_path / "prompts.txt").write_text("Hello fox?\n")
    again = recipe("eval", run, *prompts, cwd=tmp_path)
    assert again.returncode == 0 and "  Hello fox?\n    base " in again.stdout, again.stderr


def test_another_training_takes_over_what_the_base_model_predicted_of_the_same_rows(trained, recipe, tmp_path):
    folder = shutil.copytree(trained.parents[2], tmp_path / "again")
    settings = ("training.max_steps=4", "evaluation.max_rows=2", "training.learning_rate=0.05", "training.seed=7")
    done = recipe("run", "tiny.yml", "--json", *(part for value in settings for part in ("--set", value)), cwd=folder)
    run = folder / evaluated(done)["run"]
    assert f"the base model's predictions are those of {trained.name}: same model, rows and settings" in " ".join(done.stderr.split())
    before, after = (read_jsonl(one / "eval" / "predictions.jsonl") for one in (trained, run))
    assert [line for line in after if line["model"] == "base"] == [line for line in before if line["model"] == "base"]
    assert [line for line in after if line["model"] == "tuned"] != [line for line in before if line["model"] == "tuned"]
    events = [event for event in read_jsonl(run / "progress.jsonl") if event["event"] == "evaluate"]
    assert [event["done"] for event in events if event["model"] == "base"] == [2], "no row was answered again"

    keys = json.loads((run / "eval" / "request.json").read_text())["base"]
    new, earlier = RunFolder(tmp_path / "new"), RunFolder(run)
    assert take_over_base(new, [earlier], {"": "of other rows"}) is None
    assert take_over_base(new, [earlier], keys) is earlier
    (run / "eval" / "predictions.jsonl").write_text("")
    assert take_over_base(new, [earlier], keys) is None, "the file was edited"


def test_another_metric_is_computed_from_the_predictions_without_the_model(trained, recipe, tmp_path):
    run = tmp_path / "runs" / "tiny" / trained.name
    shutil.copytree(trained, run)
    names = ("eval/predictions.jsonl", "eval.log", "progress.jsonl")
    before = [(run / name).read_bytes() for name in names]
    outcome = evaluated(recipe("eval", run, "--set", "evaluation.metrics=[bleu_1, stop_rate]", "--json", cwd=tmp_path))
    of_the_recipe = {"perplexity", "token_accuracy", "stop_rate", "token_reduction", "emoji_rate", "reply_tokens", "repetition"}
    assert set(outcome["metrics"]["models"]["tuned"]) == {*of_the_recipe, "bleu_1"}, "added to those of before"
    assert [(run / name).read_bytes() for name in names] == before, "no evaluator was started"


def test_a_finished_run_whose_weights_were_changed_is_not_evaluated_and_not_trained_again(trained, recipe, tmp_path):
    run = tmp_path / "runs" / "tiny" / trained.name
    shutil.copytree(trained, run)
    weights = run / "model" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    before = unchanged(run), (run / "eval" / "metrics.json").read_bytes(), (run / "status.json").read_bytes()
    refused = recipe("eval", run, "--set", "evaluation.max_rows=1", cwd=tmp_path)
    assert refused.returncode == 1 and "adapter_model.safetensors has changed since it was saved" in refused.stderr
    assert (unchanged(run), (run / "eval" / "metrics.json").read_bytes(), (run / "status.json").read_bytes()) == before


def test_another_base_model_under_the_adapter_is_refused(aged, recipe, tmp_path):
    lock = json.loads((aged / "lock.json").read_text())
    lock["model"] |= {"identity": "of other weights", "note": "the folder as it was"}
    (aged / "lock.json").write_text(json.dumps(lock))
    seal_files(aged, ["lock.json"])
    refused = recipe("eval", aged, "--set", "evaluation.max_rows=1", cwd=tmp_path)
    assert refused.returncode == 1 and "was trained on the folder as it was, but" in refused.stderr


def test_an_evaluation_that_was_killed_continues_where_it_was(aged, recipe, tmp_path):
    shutil.rmtree(aged / "eval")
    settings = ["--set", "evaluation.max_rows=6", "--set", "evaluation.generation={max_new_tokens: 4, batch_size: 1}"]
    process = start("eval", aged, *settings, cwd=tmp_path, **held_after_lines(2, tmp_path / "site"))
    os.kill(wait_for_held(tmp_path / "site", process), signal.SIGKILL)
    output = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 1 and "SIGKILL" in output
    predictions = aged / "evaluating" / "predictions.jsonl"
    kept = predictions.read_bytes()
    assert kept.count(b"\n") == 2 and kept.endswith(b"\n")
    predictions.write_bytes(kept + b'{"model": "tuned", "id": "torn')  # what a power cut leaves
    outcome = evaluated(recipe("eval", aged, *settings, "--json", cwd=tmp_path))
    after = (aged / "eval" / "predictions.jsonl").read_bytes()
    lines = [json.loads(line) for line in after.splitlines()]
    assert after.startswith(kept) and outcome["metrics"]["rows"] == 6
    assert len({(line["model"], line["id"]) for line in lines}) == len(lines) == 12


class Begun(Exception):
    """A new run is begun."""


def test_a_run_tells_no_numbers_that_an_evaluation_replaces_after_they_were_found(trained, tmp_path, monkeypatch, capfd):
    """`recipe eval` of the finished run, just between its new folder and the record of it."""
    monkeypatch.setenv("RECIPEKIT_DEVICE", "cpu")
    monkeypatch.chdir(shutil.copytree(trained.parents[2], tmp_path / "again"))
    run, loaded = Path("runs", "tiny", trained.name), load_recipe("tiny.yml", ("training.max_steps=4", "evaluation.max_rows=2"))
    assert set(run_recipe(loaded, Path("runs"), Display()).stages.values()) == {"reused"}

    def found_and_replaced(*arguments):
        same, request = finished_run(*arguments), run / "eval" / "request.json"
        request.write_text(json.dumps(json.loads(request.read_text()) | {"evaluation": "another"}))
        unseal_files(run, ["eval"])
        write_seal(run / "eval")
        return same

    def begin(*_):
        raise Begun

    monkeypatch.setattr(run_module, "finished_run", found_and_replaced)
    monkeypatch.setattr(run_module, "require_model_of", begin)
    with pytest.raises(Begun):
        run_recipe(loaded, Path("runs"), Display())
    assert f"{run.name} was changed by another process: not used" in capfd.readouterr().err


@pytest.mark.long
def test_an_evaluation_is_not_disturbed_by_other_commands(trained, recipe, tmp_path):
    """While it works, what would change the run is refused; the rest reads the old numbers. Nothing is lost."""
    run = tmp_path / "runs" / "tiny" / trained.name
    shutil.copytree(trained, run)
    settings = ["--set", "evaluation.max_rows=6", "--set", "evaluation.generation={max_new_tokens: 4, batch_size: 1}"]
    process = start("eval", run, *settings, cwd=tmp_path, **held_after_lines(1, tmp_path / "site"))
    wait_for_held(tmp_path / "site", process)
    before = {name: (run / name).read_bytes() for name in ("eval/metrics.json", "report.html", "status.json", "sealed.json")}
    for command in (
        ["report"],
        ["eval", *settings],
        ["eval", "--set", "evaluation.max_rows=1"],
        ["merge"],
        ["review"],
        ["verify", "--accept"],
    ):
        refused = recipe(command[0], run, *command[1:], cwd=tmp_path)
        assert refused.returncode == 1 and f"is in use by process {process.pid}" in refused.stderr, (command, refused)
    listed = json.loads(recipe("runs", "--json", cwd=tmp_path).stdout)["runs"]
    assert [one["state"] for one in listed] == ["done"] and recipe("verify", run, cwd=tmp_path).returncode == 0
    assert {name: (run / name).read_bytes() for name in before} == before
    let_go(tmp_path / "site")
    output = process.communicate(timeout=600)[1]
    assert process.returncode == 0, output
    assert json.loads((run / "eval" / "metrics.json").read_bytes())["rows"] == 6
    assert recipe("verify", run, cwd=tmp_path).returncode == 0, "nor is the report older than the numbers"


def test_an_evaluation_that_fails_leaves_the_run_as_it_was(trained, recipe, tmp_path):
    run = tmp_path / "runs" / "tiny" / trained.name
    shutil.copytree(trained, run)
    names = ("eval/metrics.json", "eval/predictions.jsonl", "report.html", "status.json", "sealed.json")
    before = {name: (run / name).read_bytes() for name in names}
    failed = recipe("eval", run, "--set", "evaluation.max_rows=3", "--set", "evaluation.seen_by=nothing", cwd=tmp_path)
    assert failed.returncode == 1 and "has 'nothing' in its meta" in failed.stderr
    assert {name: (run / name).read_bytes() for name in before} == before
    outcome = evaluated(recipe("eval", run, "--set", "evaluation.max_rows=3", "--json", cwd=tmp_path))
    assert outcome["metrics"]["rows"] == 3 and outcome["state"] == "done"
