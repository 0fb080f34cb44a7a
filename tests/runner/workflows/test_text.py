"""Continued pre-training with the real Axolotl on a tiny GPT-2, and fine-tuning of what came out of it."""

import json
import math
import signal

import pytest
import yaml

from ...support.held_process import held_at
from ...support.jsonl import write_jsonl
from ...support.recipe_process import start, wait_for_step
from ...support.tiny import emogpt_rows, write_text

pytestmark = pytest.mark.train
CHAT = """recipe: 1
name: tiny_sft
model: {base_model: "run:tiny_text", chat_template: alpaca, pad_token: <|pad|>}
data:
  type: chat
  sources: [{path: rows.jsonl, converter: emogpt}]
  split: {validation: 0.125, seed: 7, group_by: [tree_id]}
training: {adapter: none, sequence_len: 128, micro_batch_size: 4, max_steps: 4, learning_rate: 1e-3, eval_steps: 4}
evaluation:
  metrics: [perplexity, stop_rate]
  generation: {max_new_tokens: 4, batch_size: 3}
"""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_gpt2):
    folder = tmp_path_factory.mktemp("text")
    write_text(folder, tiny_gpt2).rename(folder / "tiny_text.yml")
    write_jsonl(folder / "rows.jsonl", emogpt_rows(40))
    (folder / "chat.yml").write_text(CHAT)
    return folder


def run(recipe, workplace, name: str) -> dict:
    done = recipe("run", name, "--json", cwd=workplace)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"stderr": done.stderr}


@pytest.fixture(scope="module")
def fine_tuned(workplace, recipe) -> dict:
    """The second stage, which runs the first; interrupted in the first stage's training, and gone on with."""
    process = start("run", "chat.yml", cwd=workplace, **held_at(1, workplace / "site"))
    wait_for_step(workplace / "runs", 1, process)
    process.send_signal(signal.SIGTERM)
    output = process.communicate()[1]
    assert process.returncode == 130, output
    states = {folder: json.loads(next(workplace.glob(f"runs/{folder}/*/status.json")).read_text()) for folder in ("tiny_text", "tiny_sft")}
    assert states["tiny_sft"]["state"] == "interrupted" and list(states["tiny_sft"]["stages"]) == ["data"]
    done = recipe("resume", "tiny_sft", "--json", cwd=workplace)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"stderr": done.stderr, "before": output, "states": states}


@pytest.fixture(scope="module")
def pretrained(workplace, fine_tuned, recipe) -> dict:
    """The first stage, which the second has run: nothing is left to do."""
    return run(recipe, workplace, "tiny_text.yml") | {"stderr": fine_tuned["before"] + fine_tuned["stderr"]}


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_axolotl_packs_nothing_itself_because_it_would_drop_rows(pretrained, workplace):
    rendered = yaml.safe_load((workplace / pretrained["run"] / "rendered" / "axolotl.yml").read_text())
    assert rendered["record_type"] == "text" and rendered["pack_blocks"] is True
    assert rendered["sample_packing"] is False
    assert "excess_length_strategy" not in rendered


def test_every_token_is_accounted_for(pretrained, workplace):
    tokens = json.loads((workplace / pretrained["run"] / "tokens.json").read_text())
    assert {split: facts["rows"] for split, facts in tokens.items()} == {"train": 32, "validation": 8}
    for facts in tokens.values():
        assert facts["trained"] == facts["tokens"] - facts["rows"], "every token but each text's first"
    assert tokens["train"]["split_documents"] + tokens["validation"]["split_documents"] == 5
    assert "none cut" in pretrained["stderr"]


def test_a_text_longer_than_a_block_is_measured_whole(pretrained, workplace):
    folder = workplace / pretrained["run"]
    measured = sum(line["target_tokens"] for line in lines(folder / "eval" / "predictions.jsonl") if line["model"] == "tuned")
    assert measured == json.loads((folder / "tokens.json").read_text())["validation"]["trained"]


def test_perplexity_falls_and_agrees_with_the_loss_of_the_last_evaluation(pretrained, workplace):
    models = pretrained["metrics"]["models"]
    assert models["tuned"]["perplexity"]["value"] < 0.5 * models["base"]["perplexity"]["value"]
    evaluated = [line["eval_loss"] for line in lines(workplace / pretrained["run"] / "metrics.jsonl") if "eval_loss" in line]
    assert math.log(models["tuned"]["perplexity"]["value"]) == pytest.approx(evaluated[-1], rel=0.01)
    assert math.log(models["base"]["perplexity"]["value"]) == pytest.approx(evaluated[0], rel=0.01)


def test_predicted_texts_have_the_likelihood_that_was_evaluated(pretrained, workplace, recipe):
    done = recipe("predict", workplace / pretrained["run"], "stories.train", "--out", "predicted.jsonl", cwd=workplace)
    assert done.returncode == 0, done.stderr
    predicted = lines(workplace / "predicted.jsonl")
    assert len(predicted) == 40
    for row in lines(workplace / pretrained["run"] / "eval" / "predictions.jsonl"):
        if row["model"] == "tuned":
            found = predicted[int(row["id"].rpartition(":")[2]) - 1]["prediction"]
            assert (found["nll"], found["tokens"]) == (row["nll"], row["target_tokens"])
            assert found["perplexity"] == pytest.approx(math.exp(row["nll"] / row["target_tokens"]))


def test_the_model_is_a_gpt_2_of_its_own(pretrained, workplace):
    config = json.loads((workplace / pretrained["run"] / "model" / "config.json").read_text())
    assert config["architectures"] == ["GPT2LMHeadModel"]


def test_a_recipe_runs_the_one_that_it_starts_from_first_and_says_so(pretrained, fine_tuned):
    assert "first     tiny_text (tiny_text.yml): tiny_sft starts from its model, which does not exist yet" in fine_tuned["before"]
    assert fine_tuned["states"]["tiny_text"]["state"] == "interrupted"
    assert "resume    tiny_text" in fine_tuned["stderr"] and "resuming from checkpoint-" in fine_tuned["stderr"]
    assert set(pretrained["stages"].values()) == {"reused"}


def test_a_recipe_can_start_from_what_another_made(pretrained, fine_tuned, workplace):
    lock = json.loads((workplace / fine_tuned["run"] / "lock.json").read_text())
    assert lock["model"]["path"] == str((workplace / pretrained["run"] / "model").resolve())
    assert fine_tuned["metrics"]["models"]["tuned"]["perplexity"]["value"] < fine_tuned["metrics"]["models"]["base"]["perplexity"]["value"]


def test_gpt_2_trains_the_end_of_an_answer(fine_tuned, workplace):
    tokens = json.loads((workplace / fine_tuned["run"] / "tokens.json").read_text())
    assert tokens["train"]["rows_without_eos"] == tokens["train"]["untrained_rows"] == []
    saved = json.loads((workplace / fine_tuned["run"] / "model" / "tokenizer_config.json").read_text())
    assert saved["pad_token"] == "<|pad|>" and saved["eos_token"] == "<|endoftext|>"


def test_a_mask_shows_a_text_trained_but_for_its_first_token(workplace, recipe):
    done = recipe("mask", "tiny_text.yml", "--rows", "1", "--json", cwd=workplace)
    (row,) = json.loads(done.stdout)["rows"]
    assert row["labels"][0] == -100 and row["labels"][1:] == row["input_ids"][1:]
    first, rest = row["segments"]
    assert (first, rest["trained"]) == ({"text": "<|endoftext|>", "trained": False}, True)
    assert rest["text"].startswith("Story") and rest["text"].endswith("<|endoftext|>")


def test_an_adapter_of_gpt_2_has_its_conv1d_layers(workplace, recipe):
    """They are linear layers, but not to Axolotl, which would find none in GPT-2 and stop."""
    settings = ("name=tiny_lora", "training.adapter=lora", "training.lora_r=4", "training.learning_rate=1e-2")
    done = recipe("run", "tiny_text.yml", "--json", *(part for one in settings for part in ("--set", one)), cwd=workplace)
    assert done.returncode == 0, done.stderr
    run = workplace / json.loads(done.stdout)["run"]
    assert set(json.loads((run / "model" / "adapter_config.json").read_text())["target_modules"]) == {"c_attn", "c_proj", "c_fc"}
    merged = recipe("merge", "tiny_lora", cwd=workplace)  # which compares the logits with those of base and adapter
    assert merged.returncode == 0, merged.stderr
