"""Every shipped recipe, rehearsed by the real trainer: all of them by benchmarks/smoke.py, which imports the trainer once for all."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from recipekit.schemas.layers import shipped_recipes

from ..conftest import ROOT
from ..tiny import write_recipe

pytestmark = pytest.mark.train
NAMES = [path.stem for path in shipped_recipes()]


@pytest.fixture(scope="module")
def rehearsals(tmp_path_factory) -> dict[str, dict]:
    """What came of each, by recipe."""
    folder = tmp_path_factory.mktemp("smoke")
    argv = [sys.executable, "-W", "ignore", ROOT / "benchmarks" / "smoke.py", "--out", folder / "runs"]
    with (folder / "stderr").open("wb") as errors:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, "NO_COLOR": "1"}, check=False)
    last = done.stdout.decode().splitlines()[-1:]
    assert last and last[0].startswith("{"), (folder / "stderr").read_text()[-3000:]
    said = (folder / "stderr").read_text()
    return {found["recipe"]: found | {"said": said} for found in json.loads(last[0])["recipes"]}


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_recipe_is_rehearsed_from_its_data_to_its_report(rehearsals, name):
    found = rehearsals[name]
    assert (found["state"], found["steps"]) == ("done", 4), found.get("error")
    assert len(found["losses"]) == 4 and all(math.isfinite(loss) for loss in found["losses"] + found["eval_losses"])
    run = Path(found["run"])
    assert "<h2" in (run / "report.html").read_text() and json.loads((run / "eval" / "metrics.json").read_text())["rows"] > 0
    rendered = yaml.safe_load((run / "rendered" / "axolotl.yml").read_text())
    assert Path(rendered["base_model"]).is_dir(), "a twin, or the model of another rehearsal"
    assert json.loads((run / "rehearsal.json").read_text())["keys"]["training.max_steps"]["rehearsal"] == 4


@pytest.mark.parametrize("name", NAMES)
def test_every_rehearsal_is_killed_at_a_checkpoint_and_goes_on_from_there(rehearsals, name):
    events = [json.loads(line) for line in (Path(rehearsals[name]["run"]) / "progress.jsonl").read_text().splitlines()]
    told = [(event["event"], event["step"]) for event in events if event["event"] in ("train", "rehearsed_kill")]
    assert told == [("train", 0), ("rehearsed_kill", 2), ("train", 2)]


def test_the_second_of_two_stages_starts_from_the_rehearsal_of_the_first(rehearsals):
    lock = json.loads((Path(rehearsals["alpaca_gpt2"]["run"]) / "lock.json").read_text())
    first = Path(lock["model"]["path"]).parent
    assert first.parent.name == "babylm_gpt2" and first == Path(rehearsals["babylm_gpt2"]["run"]).resolve()


def test_a_sweep_keeps_what_it_has_when_one_of_its_recipes_fails_and_does_nothing_twice(tmp_path, tiny_model, recipe):
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
