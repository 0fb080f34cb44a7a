"""What a smoke run prints about itself. test_smoke.py tests that it is killed and resumed."""

import pytest
from recipekit.runner.launch.plan import Plan
from recipekit.runner.reporting.report import write_report
from recipekit.runner.runtime.console import Display
from recipekit.runner.runtime.run_files import METRICS, SMOKE_KEYS
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.stages.smoke_test import differences, train_until_killed
from recipekit.runner.workflows import run
from recipekit.runner.workflows.run import Outcome
from recipekit.schemas.base.errors import Interrupted
from recipekit.schemas.recipe import load_recipe

from ...support.finished_runs import write_chat_run


def test_every_key_that_differs_is_named_with_both_values_and_no_other():
    loaded = load_recipe("mbti_llama2_ei", smoke=True)
    assert differences(loaded.full, loaded.recipe) == {
        "model.base_model": {"full": "meta-llama/Llama-2-7b-hf", "smoke": "tiny:meta-llama/Llama-2-7b-hf"},
        "data.split.validation": {"full": 0.09, "smoke": 0.2},
        "data.split.test": {"full": 0.1, "smoke": 0.2},
        "training.gradient_accumulation_steps": {"full": 8, "smoke": 2},
        "training.num_epochs": {"full": 5, "smoke": 1},
        "training.max_steps": {"full": None, "smoke": 4},
        "training.warmup_steps": {"full": 100, "smoke": 1},
        "training.eval_steps": {"full": 200, "smoke": 2},
        "training.save_steps": {"full": 200, "smoke": 2},
        "evaluation.max_rows": {"full": None, "smoke": 4},
    }


def test_a_recipe_does_not_differ_from_itself():
    recipe = load_recipe("quickstart").recipe
    assert differences(recipe, recipe) == {}


def test_the_changed_keys_are_named_before_an_earlier_run_is_found(tmp_path, capfd, monkeypatch):
    """A run that is reused may have been asked for with other steps: `--smoke --set training.max_steps=40` changes nothing."""
    earlier = Outcome(RunFolder(tmp_path), {}, None)
    monkeypatch.setattr(run, "_already_done", lambda context: earlier)
    loaded = load_recipe("quickstart", ("training.max_steps=40",), smoke=True)
    with Display() as display:
        assert run.run_recipe(loaded, tmp_path, display) is earlier
    output = capfd.readouterr().err
    keys = differences(loaded.full, loaded.recipe)
    assert f"{len(keys)} keys differ from the full run, no others (--set smoke.KEY=VALUE sets one):" in output
    assert "training.max_steps: 40 -> 4" in output


def test_the_report_of_a_smoke_run_says_so_and_what_differs(tmp_path):
    shown = write_chat_run(tmp_path / "1", ["one"])
    advice = "Stuck: raise the learning rate."
    shown.write(METRICS, {**shown.read(METRICS), "diagnosis": {"state": "stuck", "sentence": advice}})
    page = write_report(shown).read_text()
    assert "smoke run" not in page and advice in page
    shown.write(SMOKE_KEYS, {"keys": {"model.base_model": {"full": "a/<b>", "smoke": "tiny:a/<b>"}}})
    page = write_report(shown).read_text()
    assert "A smoke run on a tiny model" in page and "1 key differs from" in page
    assert advice not in page, "a few steps of a tiny model call for no other learning rate"
    assert "model.base_model: a/&lt;b&gt; → tiny:a/&lt;b&gt;" in page


INTERRUPTED_CHILD = """
import os, signal, time
def stop(number, frame):
    open("progress.jsonl", "a").write('{"event": "smoke_kill", "time": 1.0, "step": 2}\\n')
    os.kill(os.getpid(), signal.SIGKILL)
signal.signal(signal.SIGTERM, stop)
os.kill(os.getppid(), signal.SIGINT)
time.sleep(60)
"""


def test_ctrl_c_before_the_kill_ends_the_run(tmp_path):
    """The stopped trainer writes a checkpoint, and kills itself after its first one, as a smoke run has it do."""
    plan = Plan({}, ("python", "-c", INTERRUPTED_CHILD), {})
    with Display() as display, pytest.raises(Interrupted, match="training was stopped by SIGINT"):
        train_until_killed(plan, RunFolder(tmp_path), display)
