"""Methods with the real Axolotl on a tiny model: rows of very unequal length, in one batch, in micro-batches, packed and unpadded."""

import json
from pathlib import Path

import pytest
import yaml
from recipekit.runner.launch.plan import CONFIG

from ...support.jsonl import write_jsonl
from ...support.recipe_process import environment
from ...support.tiny import emogpt_rows, write_recipe

pytestmark = pytest.mark.train
# Each step takes all 42 rows, so that nothing but the way in which they are batched differs.
BATCHES = {
    "8 rows": {"micro_batch_size": 8},
    "3 rows": {"micro_batch_size": 3, "deterministic": "true"},
    "packed": {"micro_batch_size": 1, "sample_packing": "true"},
    "flattened": {"micro_batch_size": 3},
    "auto": {"micro_batch_size": "auto", "gradient_accumulation_steps": None, "global_batch_size": 64},
}  # fmt: skip
ON_A_GPU = {"flattened": {"flatten_batches": True, "sdpa_varlen": True}}  # what a GPU's file has in addition; here a mask keeps rows apart
SETTINGS = {
    "sequence_len": 512,
    "gradient_accumulation_steps": 64,
    "lora_dropout": 0,
    "max_steps": 3,
    "eval_steps": 3,
    "save_steps": 3,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_model, warm) -> dict[str, Path]:
    """The trainings' directories: three steps over the same rows, batched in five ways."""
    folder = tmp_path_factory.mktemp("methods")
    write_recipe(folder, tiny_model)
    rows = emogpt_rows()
    for number, row in enumerate(rows):
        row["messages"][-1]["content"] += " and sings" * (number % 7) ** 2  # up to 36 times the shortest
    write_jsonl(folder / "rows.jsonl", rows)
    for name, changes in BATCHES.items():
        settings = [f"training.{key}={value}" for key, value in {**SETTINGS, **changes}.items() if value is not None]
        given = ("tiny.yml", folder / name, json.dumps(settings), json.dumps(ON_A_GPU.get(name, {})))
        done = warm("-m", "tests.support.training", *given, cwd=folder, env=environment())
        assert done.returncode == 0, done.stderr
    return {name: folder / name for name in BATCHES}


def lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def losses(run: Path) -> list[float]:
    return [line["loss"] for line in lines(run) if "loss" in line]


def weights(run: Path) -> dict:
    from safetensors.numpy import load_file

    return load_file(run / "checkpoints" / "checkpoint-3" / "adapter_model.safetensors")


@pytest.mark.parametrize("other", ["3 rows", "packed", "flattened", "auto"])
def test_the_losses_of_every_step_are_the_same_however_the_rows_are_batched(trained, other):
    assert losses(trained[other]) == pytest.approx(losses(trained["8 rows"]), abs=1e-4)
    assert losses(trained["8 rows"])[2] < losses(trained["8 rows"])[0] - 0.01, "the steps learn, or equal losses would show nothing"


@pytest.mark.parametrize("other", ["3 rows", "packed", "flattened", "auto"])
def test_the_weights_are_the_same_but_for_the_order_of_the_sums(trained, other):
    """AdamW's first steps move a weight by the learning rate whatever its gradient's size, so that a gradient of rounding noise alone may
    go either way; such weights are few, and none is further away than the steps could take it."""
    one, two = weights(trained["8 rows"]), weights(trained[other])
    assert one.keys() == two.keys()
    far = sum(int((abs(one[name] - two[name]) > 1e-5).sum()) for name in one)
    assert far <= 0.005 * sum(part.size for part in one.values())
    assert all(abs(one[name] - two[name]).max() < 3 * 1e-3 for name in one)


def test_auto_divides_the_rows_of_a_step_by_memory(trained):
    config = yaml.safe_load((trained["auto"] / CONFIG).read_text())
    assert config["micro_batch_size"] * config["gradient_accumulation_steps"] == 64 and config["rows_by_step"] is True


def test_packing_loses_no_row_and_no_token(trained):
    facts = {name: json.loads((trained[name] / "tokens.json").read_text())["train"] for name in BATCHES}
    assert facts["packed"]["trained"] == facts["8 rows"]["trained"] and facts["packed"]["rows"] == 42
    assert facts["packed"]["blocks"] < 42 and 0.8 < facts["packed"]["fill"] <= 1


def test_the_validation_loss_is_the_same_however_the_rows_are_batched(trained):
    evaluated = {name: [line["eval_loss"] for line in lines(run) if "eval_loss" in line] for name, run in trained.items()}
    for name in BATCHES:  # in batches of 1, 3 and 8 rows
        assert evaluated[name][0] == pytest.approx(evaluated["8 rows"][0], abs=1e-5), name
    assert (trained["packed"] / "heartbeat").exists()
