"""`recipe runs`, `report`, `resume` and `eval`: what they say of runs, above all of those that did not go well."""

import json
import subprocess
import sys

import pytest
from recipekit.runner.runtime.run_files import STATUS
from recipekit.runner.runtime.run_folder import RunFolder

from ....support.finished_runs import write_chat_run

NEEDS_TRAINING = ["run", "mask", "resume", "eval"]


@pytest.fixture
def root(tmp_path):
    """Runs in every state; gives their folder."""
    for number, (state, lines) in enumerate(
        {
            "done": [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0, "eval_loss": 2.5}, {"step": 4, "loss": 1.5, "eval_loss": 2.25}],
            "failed": [{"step": 1, "loss": 3.0}, {"step": 2, "loss": "nan", "eval_loss": "nan"}],
            "running": [],
        }.items()
    ):
        run = RunFolder(tmp_path / "runs" / "tiny" / f"2025010{number}-000000-abcdef")
        run.write(STATUS, {"recipe": "tiny", "state": state, "reason": f"{state}: [red]why[/red]\nmore", "stages": {"data": "a"},
                                  "started": 1000.0, "updated": 1090.5})  # fmt: skip
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 9, "lo')
    damaged = tmp_path / "runs" / "tiny" / "20250109-000000-abcdef"
    damaged.mkdir()
    (damaged / "status.json").write_text('{"state": "do')
    return tmp_path / "runs"


def test_every_run_is_listed_newest_first_with_its_numbers(recipe, root):
    done = recipe("runs", "--runs-dir", root, "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["runs"]
    assert [row["state"] for row in rows] == ["damaged", "killed", "failed", "done"]
    best = rows[-1]
    assert {key: best[key] for key in ("steps", "train_loss", "validation_loss", "seconds", "stages", "recipe")} == {
        "steps": 4, "train_loss": 6.5 / 3, "validation_loss": 2.25, "seconds": 90.5, "stages": ["data"], "recipe": "tiny",
    }  # fmt: skip


def test_a_nan_loss_is_not_a_number(recipe, root):
    rows = json.loads(recipe("runs", "tiny", "--runs-dir", root, "--json").stdout)["runs"]
    assert (rows[2]["train_loss"], rows[2]["validation_loss"], rows[2]["steps"]) == (3.0, None, 2)


def test_a_locked_run_is_running(recipe, root):
    run = RunFolder(root / "tiny" / "20250102-000000-abcdef")
    with run.locked():
        rows = json.loads(recipe("runs", "--runs-dir", root, "--json").stdout)["runs"]
    assert rows[1]["state"] == "running"


def test_the_table_is_for_people(recipe, root):
    done = recipe("runs", "--runs-dir", root, COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert "killed" in done.stdout and "2.167" in done.stdout and "2.25" in done.stdout
    assert "[red]why[/red]" in done.stdout


def test_no_run_at_all_is_not_an_error(recipe, tmp_path):
    done = recipe("runs", "--runs-dir", tmp_path / "none", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"runs": []})


def test_a_missing_run_has_the_same_message_in_every_command(recipe, root):
    for options in ([], ["--json"]):
        done = recipe("runs", "tinny", "--runs-dir", root, *options)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "tinny: no such run\n    hint: did you mean 'tiny'?\n"


def test_piped_the_paths_are_whole(recipe, root):
    done = recipe("runs", "--runs-dir", root)
    assert [line for line in done.stdout.splitlines() if not line.startswith(" ")] == [
        str(root / "tiny" / name) for name in sorted((path.name for path in (root / "tiny").iterdir()), reverse=True)
    ]


@pytest.mark.parametrize("verb", ["report", "resume", "eval"])
def test_a_run_that_is_not_there_is_reported(recipe, tmp_path, verb):
    pytest.importorskip("torch", reason="needs the extra [train]")
    done = recipe(verb, "absent", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("absent: no such run") and "`recipe runs` lists the runs" in done.stderr


def test_a_report_is_written_again_and_its_path_printed(recipe, tmp_path):
    pytest.importorskip("jinja2", reason="needs the extra [eval]")
    run = write_chat_run(tmp_path, ["x"])
    done = recipe("report", run.path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(run / "report.html")
    assert (run / "report.html").read_text().startswith("<!doctype html>")


def test_a_report_of_a_run_without_an_evaluation_says_how_to_go_on(recipe, root):
    pytest.importorskip("jinja2", reason="needs the extra [eval]")
    done = recipe("report", "20250101-000000-abcdef", "--runs-dir", root)
    assert done.returncode == 1
    assert "has not been evaluated: it is failed" in done.stderr and "recipe resume" in done.stderr


@pytest.mark.parametrize("verb", ["report", "resume", "eval"])
def test_a_damaged_run_is_named(recipe, root, verb):
    pytest.importorskip("torch", reason="needs the extra [train]")
    done = recipe(verb, "tiny", "--runs-dir", root)
    assert done.returncode == 1
    assert "status.json: is damaged" in done.stderr and "Traceback" not in done.stderr


def test_a_finished_run_is_not_resumed(recipe, root):
    pytest.importorskip("torch", reason="needs the extra [train]")
    done = recipe("resume", root / "tiny" / "20250100-000000-abcdef")
    assert done.returncode == 1
    assert "is finished: nothing to resume" in done.stderr


@pytest.mark.parametrize(
    "setting", ["training.learning_rate=1", "data.split.seed=1", "model.base_model=x", "evaluationx.a=1", "evaluation=1"]
)
def test_after_training_only_the_evaluation_can_change(recipe, root, setting):
    done = recipe("eval", "tiny", "--runs-dir", root, "--set", setting)
    assert done.returncode == 1
    assert f"--set {setting}: only evaluation keys can change after training" in done.stderr


def test_a_run_that_has_not_trained_cannot_be_evaluated(recipe, root):
    pytest.importorskip("torch", reason="needs the extra [train]")
    done = recipe("eval", root / "tiny" / "20250100-000000-abcdef")
    assert done.returncode == 1
    assert "has no trained model" in done.stderr


@pytest.mark.parametrize("verb", NEEDS_TRAINING)
def test_a_missing_extra_is_reported_first(root, recipe_file, minimal, verb):
    without = "import sys; sys.modules['torch'] = None; from recipekit.runner.cli.main import main; main()"
    target = recipe_file(json.dumps(minimal())) if verb in ("run", "mask") else root / "tiny" / "20250101-000000-abcdef"
    done = subprocess.run([sys.executable, "-c", without, verb, str(target)], capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 1
    assert "training needs packages that are not installed: torch" in done.stderr
    assert "pip install 'recipekit[train]'" in done.stderr
    assert not (root / "runs").exists()
