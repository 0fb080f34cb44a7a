"""Means over BLiMP's phenomena and GLUE's tasks from result files; golden on the source's own."""

import json

import pytest
from recipekit.runner.evaluation.blimp import PHENOMENA, blimp, glue
from recipekit.schemas.base.errors import UserError

MEANS = {
    "gpt2": 84.60, "gpt2-babylm": 83.52, "gpt2-instruction": 83.73, "gpt2-babylm-instruction": 81.41, "gpt2-medium": 85.17,
    "gpt2-medium-babylm": 86.13, "gpt2-medium-instruction": 83.89, "gpt2-medium-babylm-instruction": 84.42,
}  # fmt: skip
GLUE = {"boolq": 64.5, "cola": 78.2, "mnli": 74.7, "mrpc": 78.5, "qnli": 85.1, "qqp": 82.2, "rte": 58.6, "sst2": 90.9, "wsc": 61.4}


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(PHENOMENA):
        path = tmp_path / "zeroshot" / name / "eval_results.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"eval_accuracy": number / 100}))
    return tmp_path


def test_the_mean_is_over_all_twelve_phenomena(folder):
    found = blimp(folder)
    assert found["mean"] == pytest.approx(5.5) and len(found["phenomena"]) == 12
    assert found["phenomena"]["subject_verb_agreement"] == pytest.approx(11)


def test_a_missing_phenomenon_is_reported_and_not_left_out_of_the_mean(folder):
    (folder / "zeroshot" / "binding" / "eval_results.json").unlink()
    with pytest.raises(UserError, match="binding/eval_results.json"):
        blimp(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"eval_accuracy": null}', '{"eval_accuracy": "high"}'])
def test_a_damaged_file_is_named(folder, content):
    (folder / "zeroshot" / "binding" / "eval_results.json").write_text(content)
    with pytest.raises(UserError, match="has no eval_accuracy"):
        blimp(folder)


def test_tasks_that_were_not_run_have_no_number(folder):
    assert glue(folder) == {}


@pytest.mark.parametrize("model", MEANS)
def test_the_sources_committed_files_give_its_means(realdata, model):
    assert blimp(realdata / "babylm_alpaca" / "babylm_evaluate" / f"eval_results_{model}")["mean"] == pytest.approx(MEANS[model], abs=0.005)


def test_the_sources_glue_of_gpt2(realdata):
    found = glue(realdata / "babylm_alpaca" / "babylm_evaluate" / "eval_results_gpt2")
    assert {task: found[task] for task in GLUE} == pytest.approx(GLUE, abs=0.05)
