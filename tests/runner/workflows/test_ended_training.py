"""A training that was killed after its last step, before its model was published: resumed, it takes no further step."""

import json
from pathlib import Path

import pytest
from recipekit.runner.runtime.checkpoints import KILL_AT_END
from recipekit.runner.runtime.progress import read_lines

from ...support.single_process import settings
from ...support.tiny import write_recipe

pytestmark = [pytest.mark.train, pytest.mark.long]
# A constant rate, so that one step more moves the weights; dropout, so that it draws random numbers.
CONSTANT = ["training.lr_scheduler=constant", "training.eval_steps=1", "training.save_steps=1", "training.logging_steps=1",
            "evaluation.max_rows=1", "evaluation.metrics=[perplexity]", "evaluation.generation.max_new_tokens=null"]  # fmt: skip
TO_THE_END = ["training.max_steps=3"]
# A rate at which the validation loss rises after a few steps.
STOPPED_EARLY = ["training.max_steps=12", "training.learning_rate=0.5", "training.load_best_model_at_end=true",
                 "training.metric_for_best_model=eval_loss", "training.early_stopping_patience=1", "training.save_total_limit=12"]  # fmt: skip


@pytest.mark.parametrize("given", [TO_THE_END, STOPPED_EARLY], ids=["at the last step", "stopped early"])
def test_an_ended_training_takes_no_further_step(tmp_path, tiny_model, recipe, given):
    write_recipe(tmp_path, tiny_model)
    undisturbed = recipe("run", "tiny.yml", *settings(*CONSTANT, *given), "--json", "--runs-dir", "whole", cwd=tmp_path)
    assert undisturbed.returncode == 0, undisturbed.stderr
    whole = tmp_path / json.loads(undisturbed.stdout)["run"]
    killed = recipe("run", "tiny.yml", *settings(*CONSTANT, *given), cwd=tmp_path, **{KILL_AT_END: "1"})
    assert killed.returncode == 1 and "SIGKILL" in killed.stderr
    (run,) = (tmp_path / "runs" / "tiny").glob("*")
    assert not (run / "model").exists()
    (run / "model").mkdir()
    (run / "model" / "mine").write_text("in the way")  # publishing fails as on a full disk: after the training
    assert recipe("resume", run, cwd=tmp_path).returncode == 1
    (run / "model" / "mine").unlink()
    resumed = recipe("resume", run, "--json", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert losses(run) == losses(whole)
    assert weights(run) == weights(whole)
    assert (run / "training.json").read_text() == (whole / "training.json").read_text()
    ended = json.loads((run / "training.json").read_text())
    if given is TO_THE_END:
        assert ended == {"steps": 3, "planned_steps": 3, "reason": ""}
    else:
        assert ended["steps"] < ended["planned_steps"] == 12 and ended["reason"] == "early stopping"
        assert f"early stopping after step {ended['steps']} of 12" in resumed.stderr


def losses(run: Path) -> list[tuple[int, float | None, float | None]]:
    return [(line["step"], line.get("loss"), line.get("eval_loss")) for line in read_lines(run / "metrics.jsonl")]


def weights(run: Path) -> bytes:
    return (run / "model" / "adapter_model.safetensors").read_bytes()
