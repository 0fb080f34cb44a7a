"""A sweep as a whole: with trainings that a test makes end as it likes, and once with the real trainer."""

import json

import pytest
from recipekit.runner.reporting.runs_table import print_sweep
from recipekit.runner.runtime.console import Display
from recipekit.runner.runtime.run_files import METRICS, STATUS
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.workflows import sweep as sweeps
from recipekit.runner.workflows.sweep import exit_code, run_sweep
from recipekit.schemas.base.errors import GateError, Interrupted, UserError
from recipekit.schemas.base.screen import Screen
from recipekit.schemas.recipe import load_sweep
from recipekit.schemas.yaml_writing import to_yaml

from ...support.run_files import metrics_with
from ...support.tiny import write_recipe


@pytest.fixture
def swept(recipe_file, minimal, tmp_path, monkeypatch):
    """Runs a sweep over three ranks whose trainings end as given: with a loss, or an error."""

    def build(*ends):
        path = recipe_file(to_yaml(minimal() | {"matrix": {"training.lora_r": [4, 8, 16]}}))
        left = iter(ends)

        def run_or_resume(loaded, root, display):
            end = next(left)
            run = RunFolder(root / loaded.recipe.name / "1")
            state = {float: "done", GateError: "refused", UserError: "failed", Interrupted: "interrupted"}[type(end)]
            run.write(STATUS, {"state": state, "stages": {}, "started": 0, "updated": 90, "reason": "" if state == "done" else str(end)})
            if state != "done":
                raise end
            (run / "metrics.jsonl").write_text(
                json.dumps({"step": 4, "loss": end}) + "\n" + json.dumps({"step": 4, "eval_loss": end + 1}) + "\n"
            )
            perplexity = {"value": 2 * end, "low": None, "high": None}
            losses = {"train_loss": end, "validation_loss": end + 1, "best_validation_loss": end + 1}
            models = {model: {"perplexity": perplexity} for model in ("base", "tuned")}
            difference = {"perplexity": perplexity | {"p_value": None, "significant": False}}
            named = {"perplexity": {"unit": "", "higher_is_better": False}}
            run.write(METRICS, metrics_with(metrics=named, models=models, differences=difference, losses=losses))
            return type("Outcome", (), {"run": run})

        monkeypatch.setattr(sweeps, "run_or_resume", run_or_resume)
        with Display() as display:
            return run_sweep(load_sweep(str(path)), tmp_path / "runs", display)

    return build


def test_a_sweep_runs_every_recipe_and_compares_them(swept, capsys):
    found = swept(1.5, 1.25, 1.0)
    assert exit_code(found) == 0
    rows = [one.row() for one in found]
    assert [(row["values"], row["state"], row["train_loss"], row["validation_loss"], row["metrics"]) for row in rows] == [
        ({"training.lora_r": 4}, "done", 1.5, 2.5, {"perplexity": 3.0}),
        ({"training.lora_r": 8}, "done", 1.25, 2.25, {"perplexity": 2.5}),
        ({"training.lora_r": 16}, "done", 1.0, 2.0, {"perplexity": 2.0}),
    ]
    print_sweep(rows, Screen(width=120))
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("lora_r", "perplexity", "1.250", "2.250", "3.00", "2.50"))


def test_one_failure_does_not_lose_the_others(swept):
    found = swept(1.5, UserError("out of memory"), 1.0)
    assert [one.row()["state"] for one in found] == ["done", "failed", "done"]
    assert found[1].row()["reason"] == "out of memory"
    assert exit_code(found) == 1


def test_only_failed_gates_exit_3(swept):
    assert exit_code(swept(1.5, GateError("perplexity"), 1.0)) == 3
    assert exit_code(swept(GateError("perplexity"), UserError("x"), 1.0)) == 1


def test_an_interruption_ends_the_sweep(swept):
    with pytest.raises(Interrupted):
        swept(1.5, Interrupted("stopped"), 1.0)


@pytest.mark.train
@pytest.mark.long
def test_a_failed_sweep_keeps_its_finished_runs(tmp_path, tiny_model, recipe):
    path = write_recipe(tmp_path, tiny_model)
    text = (
        path.read_text()
        .replace("max_steps: 12", "max_steps: 2")
        .replace("eval_steps: 4", "eval_steps: 2")
        .replace("save_steps: 4", "save_steps: 2")
    )
    path.write_text(text + "matrix: {training.sequence_len: [128, 8]}\n")  # rows do not fit into 8 tokens
    first = recipe("run", "tiny.yml", "--json", cwd=tmp_path)
    assert first.returncode == 1
    rows = json.loads(first.stdout)["sweep"]
    assert [(row["recipe"], row["state"]) for row in rows] == [("tiny-sequence_len-128", "done"), ("tiny-sequence_len-8", "failed")]
    assert rows[0]["metrics"]["perplexity"] > 1 and "are longer than training.sequence_len (8)" in rows[1]["reason"]
    again = recipe("run", "tiny.yml", cwd=tmp_path)
    assert "nothing has changed since runs/tiny-sequence_len-128/" in again.stderr
    assert again.returncode == 1 and "sequence_len" in again.stdout and "failed" in again.stdout
    assert len(list(tmp_path.glob("runs/tiny-sequence_len-128/*"))) == 1
