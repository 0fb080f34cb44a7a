"""`recipe verify`: every file that a stage has left is compared with its hash, and edits count only when they are accepted."""

import json

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.runtime.seals import seal_files, write_seal

from ...support.chats import chat_data, chats
from ...support.finished_runs import write_chat_run
from ...support.jsonl import write_jsonl


@pytest.fixture
def run(tmp_path) -> RunFolder:
    """A finished run with data, model and evaluation, sealed as the stages seal them."""
    run = write_chat_run(tmp_path, ["some text"])
    (run / "data" / "manifest.json").unlink()
    build(chat_data(write_jsonl(tmp_path / "rows.jsonl", chats(20))), run / "data")
    (run / "model").mkdir()
    (run / "model" / "adapter_model.safetensors").write_bytes(b"weights")
    for name in ("training.json", "rendered"):
        (run / name).write_text("{}")
    write_seal(run / "model")
    write_seal(run / "eval")
    names = ["lock.json", "metrics.jsonl", "data/manifest.json", "recipe.yml", "model/sealed.json", "eval/sealed.json"]
    seal_files(run.path, names)
    run.update(stages={"data": "a", "train": "b", "evaluate": "c"})
    return run


FILES = ["data/train.jsonl", "data/manifest.json", "model/adapter_model.safetensors", "eval/metrics.json", "eval/predictions.jsonl",
         "eval/rows.jsonl", "lock.json", "metrics.jsonl", "recipe.yml"]  # fmt: skip


def test_an_unchanged_run_verifies(run, command_line):
    outcome = command_line("verify", run.path, "--json")
    assert outcome.code == 0 and json.loads(outcome.out)["faults"] == [] and json.loads(outcome.out)["files"] >= len(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_edited_is_named(run, command_line, name):
    with (run / name).open("ab") as stream:
        stream.write(b" ")
    outcome = command_line("verify", run.path)
    assert outcome.code == 1 and name in outcome.err.replace(": ", "/") and "Traceback" not in outcome.err


@pytest.mark.parametrize("name", ["eval/metrics.json", "model/adapter_model.safetensors", "lock.json"])
def test_an_accepted_edit_is_recorded(run, command_line, name):
    (run / name).write_bytes((run / name).read_bytes() + b"\n")
    accepted = command_line("verify", run.path, "--accept")
    assert accepted.code == 0 and name in accepted.err
    assert run.status.get("edited") == [name]
    assert command_line("verify", run.path).code == 0
    assert f"edited by hand, and accepted: {name}" in command_line("runs", "--runs-dir", run.path.parent.parent, "--json").out


def test_a_file_that_was_added_is_named_until_it_is_accepted(run, command_line):
    (run / "model" / "added_tokens.json").write_text("{}")
    outcome = command_line("verify", run.path)
    assert outcome.code == 1 and "model: added_tokens.json was added after the folder was saved" in outcome.err
    assert command_line("verify", run.path, "--accept").code == 0 and run.status.get("edited") == ["model/added_tokens.json"]
    assert command_line("verify", run.path).code == 0


@pytest.mark.parametrize("name", ["eval/sealed.json", "model/sealed.json", "sealed.json"])
def test_a_removed_seal_is_reported(run, command_line, name):
    (run / name).unlink()
    outcome = command_line("verify", run.path)
    assert outcome.code == 1 and "sealed.json is missing" in outcome.err


def test_a_missing_file_can_be_accepted_unless_a_stage_needs_it(run, command_line):
    (run / "eval" / "masks.jsonl").unlink()
    assert command_line("verify", run.path).code == 1
    assert command_line("verify", run.path, "--accept").code == 0
    assert run.status.get("edited") == ["eval/masks.jsonl"]
    (run / "lock.json").unlink()
    assert "lock.json is missing" in command_line("verify", run.path, "--accept").err


def test_rows_that_were_trained_on_cannot_be_accepted(run, command_line):
    with (run / "data" / "train.jsonl").open("ab") as stream:
        stream.write(b" ")
    refused = command_line("verify", run.path, "--accept")
    assert refused.code == 1 and "edited training rows cannot be accepted" in refused.err


def test_a_run_without_a_complete_stage_has_nothing_to_verify(run, command_line):
    run.update(stages={})
    assert "has completed no stage" in command_line("verify", run.path).err
