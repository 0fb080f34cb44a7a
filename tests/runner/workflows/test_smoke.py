"""Every shipped recipe, run by the real trainer with a tiny model: all of them by benchmarks/smoke.py, which imports the trainer once for all."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from recipekit.schemas.extends import shipped_recipes

from ...support.paths import ROOT

pytestmark = [pytest.mark.train, pytest.mark.long]
NAMES = [path.stem for path in shipped_recipes()]


@pytest.fixture(scope="module")
def smoke_runs(tmp_path_factory) -> dict[str, dict]:
    """What came of each, by recipe."""
    folder = tmp_path_factory.mktemp("smoke")
    argv = [sys.executable, "-W", "ignore", ROOT / "benchmarks" / "smoke.py", "--out", folder / "runs"]
    with (folder / "stderr").open("wb") as errors:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, "NO_COLOR": "1"}, check=False)
    last = done.stdout.decode().splitlines()[-1:]
    assert last and last[0].startswith("{"), (folder / "stderr").read_text()[-3000:]
    output = (folder / "stderr").read_text()
    return {found["recipe"]: found | {"output": output} for found in json.loads(last[0])["recipes"]}


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_recipe_runs_from_its_data_to_its_report(smoke_runs, name):
    found = smoke_runs[name]
    assert (found["state"], found["steps"]) == ("done", 4), found.get("error")
    assert len(found["losses"]) == 4 and all(math.isfinite(loss) for loss in found["losses"] + found["eval_losses"])
    run = Path(found["run"])
    assert "<h2" in (run / "report.html").read_text() and json.loads((run / "eval" / "metrics.json").read_text())["rows"] > 0
    rendered = yaml.safe_load((run / "rendered" / "axolotl.yml").read_text())
    assert Path(rendered["base_model"]).is_dir(), "a tiny model, or the model of another smoke run"
    assert json.loads((run / "smoke.json").read_text())["keys"]["training.max_steps"]["smoke"] == 4


@pytest.mark.parametrize("name", NAMES)
def test_every_smoke_run_is_killed_at_a_checkpoint_and_continues_from_there(smoke_runs, name):
    events = [json.loads(line) for line in (Path(smoke_runs[name]["run"]) / "progress.jsonl").read_text().splitlines()]
    steps = [(event["event"], event["step"]) for event in events if event["event"] in ("train", "smoke_kill")]
    assert steps == [("train", 0), ("smoke_kill", 2), ("train", 2)]


def test_the_second_of_two_stages_starts_from_the_smoke_run_of_the_first(smoke_runs):
    lock = json.loads((Path(smoke_runs["alpaca_gpt2"]["run"]) / "lock.json").read_text())
    first = Path(lock["model"]["path"]).parent
    assert first.parent.name == "babylm_gpt2" and first == Path(smoke_runs["babylm_gpt2"]["run"]).resolve()
