"""The whole path with the real Axolotl on a tiny model: run, reuse, kill, resume, refuse."""

import json
import math
import os
import re
import signal
from hashlib import sha256
from pathlib import Path

import pytest
from recipekit.runner.resources.forward_pass import PADDED_TO

from ...support.held_process import held_at, wait_for_held
from ...support.jsonl import write_jsonl
from ...support.recipe_process import start, wait_for_step
from ...support.tiny import emogpt_rows, write_recipe
from ...support.waiting import PATIENCE

pytestmark = pytest.mark.train
LOSSES_ALONE = ["--set", "evaluation.metrics=[perplexity]", "--set", "evaluation.generation.max_new_tokens=null"]
VARYING = ("tokens_per_s", "eval_runtime")
HOSTILE = 'it\'s -a "place" 🙂 $(touch canary) `touch canary` é'  # where everything runs: no shell, no template and no encoding may notice
SECRETS = {"HF_TOKEN": "hf_" + "cAnArY" * 5, "CANARY_API_KEY": "planted-canary-value"}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_model) -> Path:
    folder = tmp_path_factory.mktemp("work") / HOSTILE
    folder.mkdir()
    write_recipe(folder, tiny_model)
    return folder


@pytest.fixture(scope="module")
def finished(workplace, recipe) -> dict:
    """One run, trained to its end: what `recipe run --json` printed."""
    done = recipe("run", "tiny.yml", "--json", cwd=workplace, **SECRETS)
    assert done.returncode == 0, done.stderr
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS.values())
    return json.loads(done.stdout) | {"output": done.stderr}


def folder_of(outcome: dict, workplace: Path) -> Path:
    return workplace / outcome["run"]


def weights(run: Path) -> str:
    return sha256((run / "model" / "adapter_model.safetensors").read_bytes()).hexdigest()


def losses(run: Path) -> list[dict]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in VARYING} for line in lines]


def test_a_run_leaves_everything_that_a_run_directory_holds(finished, workplace):
    run = folder_of(finished, workplace)
    expected = ["recipe.yml", "lock.json", "data/train.jsonl", "data/validation.jsonl", "data/manifest.json", "rendered/axolotl.yml",
                "rendered/command.txt", "train.log", "metrics.jsonl", "tokens.json", "model/adapter_model.safetensors",
                "model/tokenizer.json", "eval/metrics.json", "eval/predictions.jsonl", "report.html", "status.json"]  # fmt: skip
    assert [name for name in expected if not (run / name).is_file()] == []
    assert [*(run / "prepared").rglob("data-*.arrow")] and not [*(run / "prepared").rglob("json-*.arrow")], "no copies of the rows"
    assert finished["state"] == "done"
    assert finished["stages"] == {"data": "done", "train": "done", "evaluate": "done", "report": "done"}


def test_the_model_is_seen_to_load_for_the_training_and_for_the_evaluation(finished):
    lines = [line.strip() for line in finished["output"].splitlines()]
    training = next(number for number, line in enumerate(lines) if line.startswith("training"))
    assert "loading the model" in lines[:training] and "loading the model" in lines[training:]


def test_predicted_replies_are_those_that_were_evaluated(finished, workplace, recipe):
    run = folder_of(finished, workplace)
    options = ("--converter", "messages", "--out", "predicted.jsonl")
    done = recipe("predict", run, run / "data" / "validation.jsonl", *options, cwd=workplace)
    assert done.returncode == 0, done.stderr
    predicted = {row["id"]: row["prediction"] for row in map(json.loads, (workplace / "predicted.jsonl").read_text().splitlines())}
    evaluated = [json.loads(line) for line in (run / "eval" / "predictions.jsonl").read_text().splitlines()]
    for row in (row for row in evaluated if row["model"] == "tuned"):
        assert (predicted[row["id"]]["reply"], predicted[row["id"]]["reply_tokens"]) == (row["reply"], row["reply_tokens"])


def test_no_file_of_a_run_holds_a_secret_of_the_environment(finished, workplace):
    files = [path for path in folder_of(finished, workplace).rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if any(secret.encode() in path.read_bytes() for secret in SECRETS.values())] == []


def test_nothing_in_a_path_is_executed(finished, workplace):
    assert list(workplace.parent.rglob("canary")) == []


def test_only_the_last_reply_and_its_end_are_trained(finished, workplace):
    tokens = json.loads((folder_of(finished, workplace) / "tokens.json").read_text())
    assert tokens["train"]["rows"] == tokens["train"]["trained_rows"] == 42
    assert tokens["train"]["untrained_rows"] == tokens["train"]["rows_without_eos"] == []
    assert 0 < tokens["train"]["trained"] < tokens["train"]["masked"]


def test_training_lowers_the_loss_and_logs_every_step(finished, workplace):
    lines = losses(folder_of(finished, workplace))
    trained = [line for line in lines if "loss" in line]
    assert [line["step"] for line in trained] == list(range(1, 13))
    assert trained[-1]["loss"] < trained[0]["loss"]
    assert [line["step"] for line in lines if "eval_loss" in line] == [0, 4, 8, 12]


def test_one_prediction_of_memory_is_made_from_the_rows_as_they_are_trained(finished, workplace):
    assert len(predicted := re.findall(r"at ([\d,]+) tokens per row", finished["output"])) == 2
    longest = json.loads((folder_of(finished, workplace) / "tokens.json").read_text())["train"]["longest"]
    assert set(predicted) == {str(-(-longest // PADDED_TO) * PADDED_TO)}


def test_the_learning_rate_falls_along_a_cosine(finished, workplace):
    rates = [line["learning_rate"] for line in losses(folder_of(finished, workplace)) if "loss" in line]
    assert rates == pytest.approx([1e-3 * (1 + math.cos(math.pi * step / 12)) / 2 for step in range(12)])


def test_the_tokens_per_second_were_counted(finished, workplace):
    lines = [json.loads(line) for line in (folder_of(finished, workplace) / "metrics.jsonl").read_text().splitlines()]
    assert all(line["tokens_per_s"] > 0 for line in lines if "loss" in line)


def test_every_metric_has_its_baseline_and_no_interval_over_so_few_rows(finished):
    metrics = finished["metrics"]
    base, tuned = metrics["models"]["base"]["perplexity"], metrics["models"]["tuned"]["perplexity"]
    assert (base["low"], base["high"]) == (None, None)
    assert tuned["value"] < base["value"]
    assert metrics["rows"] == 4


def test_a_second_run_with_nothing_changed_trains_nothing(finished, workplace, recipe):
    again = recipe("run", "tiny.yml", "--json", cwd=workplace)
    assert again.returncode == 0, again.stderr
    outcome = json.loads(again.stdout)
    assert outcome["run"] == finished["run"]
    assert set(outcome["stages"].values()) == {"reused"}
    assert "nothing has changed" in again.stderr


def test_another_evaluation_reuses_the_training(finished, workplace, recipe):
    again = recipe("run", "tiny.yml", "--json", *LOSSES_ALONE, "--set", "evaluation.max_rows=2", cwd=workplace)
    outcome = json.loads(again.stdout)
    assert outcome["stages"] == {"data": "reused", "train": "reused", "evaluate": "done", "report": "done"}
    assert outcome["metrics"]["rows"] == 2
    assert not (folder_of(outcome, workplace) / "merged").exists(), "nobody asked for it"
    assert weights(folder_of(outcome, workplace)) == weights(folder_of(finished, workplace))


def test_a_merged_model_is_base_and_adapter_in_one_and_answers_as_they_do(finished, workplace, recipe, tiny_model):
    from safetensors.numpy import load_file

    evaluation = [*LOSSES_ALONE, "--set", "evaluation.max_rows=2"]
    done = recipe("run", "tiny.yml", "--json", "--set", "export.merge=true", *evaluation, cwd=workplace)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["stages"]["train"] == "reused" and outcome["stages"]["merge"] == "done"
    folder = folder_of(outcome, workplace)
    facts = json.loads((folder / "merged" / "merge.json").read_text())
    assert facts["dtype"] == "float32" and facts["rows_compared"] == 4 and facts["largest_difference"] < 1e-5
    base, merged = load_file(tiny_model / "model.safetensors"), load_file(folder / "merged" / "model.safetensors")
    adapter = load_file(folder / "model" / "adapter_model.safetensors")
    name = "model.layers.1.mlp.down_proj"
    a, b = (adapter[f"base_model.model.{name}.lora_{part}.weight"] for part in "AB")
    assert merged[f"{name}.weight"] == pytest.approx(base[f"{name}.weight"] + 8 / 4 * b @ a, abs=1e-6)
    assert abs(b @ a).max() > 1e-4, "the adapter has learnt something"
    assert not (folder / "merged" / "adapter_config.json").exists() and (folder / "merged" / "tokenizer.json").exists()
    assert "# tiny" in (folder / "merged" / "README.md").read_text() and "perplexity" in (folder / "merged" / "README.md").read_text()
    again = recipe("run", "tiny.yml", "--json", "--set", "export.merge=true", *evaluation, cwd=workplace)
    assert set(json.loads(again.stdout)["stages"].values()) == {"reused"}
    elsewhere = recipe("merge", folder_of(finished, workplace), "--out", "whole", "--json", cwd=workplace)
    assert elsewhere.returncode == 0, elsewhere.stderr
    assert json.loads(elsewhere.stdout)["folder"] == "whole"
    assert (workplace / "whole" / "model.safetensors").read_bytes() == (folder / "merged" / "model.safetensors").read_bytes()
    assert not (folder_of(finished, workplace) / "merged").exists()


def test_a_run_that_is_merged_afterwards_is_still_the_recipes_run(finished, workplace, recipe):
    run = folder_of(finished, workplace)
    merged = recipe("merge", run, cwd=workplace)
    assert merged.returncode == 0, merged.stderr
    assert merged.stdout == f"{run / 'merged'}\n" and (run / "merged" / "config.json").is_file()
    assert recipe("merge", run, cwd=workplace).stdout == merged.stdout, "done before"
    again = recipe("run", "tiny.yml", "--json", cwd=workplace)
    assert set(json.loads(again.stdout)["stages"].values()) == {"reused"} and Path(json.loads(again.stdout)["run"]).name == run.name


def test_a_gate_that_is_not_met_exits_3_and_keeps_the_run(finished, workplace, recipe):
    gates = [
        *LOSSES_ALONE,
        "--set",
        "evaluation.max_rows=2",
        "--set",
        "evaluation.gates={perplexity: {max: 1.0}}",
    ]
    refused = recipe("run", "tiny.yml", *gates, cwd=workplace)
    assert refused.returncode == 3
    assert "at most 1 is required" in refused.stderr
    state = recipe("runs", "tiny", "--json", cwd=workplace)
    assert json.loads(state.stdout)["runs"][0]["state"] == "refused"


@pytest.mark.long
def test_a_training_killed_outright_resumes_to_the_same_bits(finished, workplace, recipe, tmp_path):
    process = start("run", "tiny.yml", "--runs-dir", "killed", cwd=workplace, **held_at(6, tmp_path / "site"))
    run = wait_for_step(workplace / "killed", 6, process)
    os.kill(wait_for_held(tmp_path / "site", process), signal.SIGKILL)
    output = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 1
    assert "SIGKILL" in output
    resumed = recipe("resume", run, "--json", cwd=workplace)
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming from checkpoint-" in resumed.stderr
    assert losses(run) == losses(folder_of(finished, workplace))
    assert weights(run) == weights(folder_of(finished, workplace))


def test_a_stopped_training_resumes_bit_identical(finished, workplace, recipe, tmp_path):
    process = start("run", "tiny.yml", "--runs-dir", "stopped", cwd=workplace, **held_at(1, tmp_path / "site"))
    run = wait_for_step(workplace / "stopped", 1, process)
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 130
    saved = re.search(r"training was stopped by SIGTERM; step (\d+) is saved", output)
    assert saved and int(saved[1]) == max(int(path.name.removeprefix("checkpoint-")) for path in (run / "checkpoints").glob("checkpoint-*"))
    assert f"recipe resume {run.relative_to(workplace)}" in output
    assert json.loads((run / "status.json").read_text())["state"] == "interrupted"
    resumed = recipe("run", "tiny.yml", "--resume", "--runs-dir", "stopped", "--json", cwd=workplace)
    assert resumed.returncode == 0, resumed.stderr
    assert losses(run) == losses(folder_of(finished, workplace))
    assert weights(run) == weights(folder_of(finished, workplace))


@pytest.mark.long
def test_a_stop_before_a_due_evaluation_changes_nothing(workplace, recipe, tmp_path):
    """With an evaluation after each step, a signal always skips one; an evaluation draws random numbers, and so does the dropout."""
    each = ["--set", "training.eval_steps=1", "--set", "training.max_steps=8"]
    whole = recipe("run", "tiny.yml", *each, "--runs-dir", "whole", "--json", cwd=workplace)
    assert whole.returncode == 0, whole.stderr
    process = start("run", "tiny.yml", *each, "--runs-dir", "cut", cwd=workplace, **held_at(2, tmp_path / "site"))
    run = wait_for_step(workplace / "cut", 2, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    resumed = recipe("resume", run, "--json", cwd=workplace)
    assert resumed.returncode == 0, resumed.stderr
    assert losses(run) == losses(folder_of(json.loads(whole.stdout), workplace))
    assert weights(run) == weights(folder_of(json.loads(whole.stdout), workplace))


def test_rows_that_are_too_long_stop_the_run_by_name(workplace, recipe):
    refused = recipe("run", "tiny.yml", "--set", "training.sequence_len=48", "--runs-dir", "long", cwd=workplace)
    assert refused.returncode == 1
    assert "rows are longer than training.sequence_len (48): rows.jsonl:" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_evaluation_beyond_the_end_is_refused_before_training(workplace, recipe):
    settings = ["--set", "training.max_steps=null", "--set", "training.num_epochs=1", "--set", "training.eval_steps=40"]
    refused = recipe("run", "tiny.yml", *settings, "--runs-dir", "early", cwd=workplace)
    assert refused.returncode == 1
    assert "40 is beyond the end of the run, which takes 11 steps for 42 rows" in refused.stderr


def test_a_missing_model_is_reported(workplace, recipe):
    refused = recipe("run", "tiny.yml", "--set", "model.base_model=./nowhere", "--runs-dir", "none", cwd=workplace)
    assert refused.returncode == 1
    assert "no such model folder" in refused.stderr


def test_a_leak_between_sources_with_fixed_splits_exits_3(tmp_path, tiny_model, recipe):
    path = write_recipe(tmp_path, tiny_model)
    write_jsonl(tmp_path / "held.jsonl", emogpt_rows(3))
    text = path.read_text().replace("converter: emogpt}]", "converter: emogpt, split: train}]")
    text = text.replace("sources: [", "dedup: none\n  sources: [{path: held.jsonl, converter: emogpt, split: test}, ")
    path.write_text(text)
    refused = recipe("run", path, cwd=tmp_path)
    assert refused.returncode == 3
    assert "the same conversation is in" in refused.stderr
