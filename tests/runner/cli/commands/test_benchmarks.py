"""Result files of benchmarks as a table and as JSON."""

import json

import pytest
from recipekit.runner.evaluation.blimp import PHENOMENA


@pytest.fixture
def folder(tmp_path):
    """Result folders of two models, one of which has a fine-tuned task."""
    for model, accuracy in (("one", 0.8), ("two", 0.9)):
        for name in PHENOMENA:
            path = tmp_path / model / "zeroshot" / name / "eval_results.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps({"eval_accuracy": accuracy}))
    path = tmp_path / "two" / "finetune" / "cola" / "eval_results.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"eval_accuracy": 0.7825}')
    return tmp_path


def test_models_are_next_to_each_other(command_line, folder):
    outcome = command_line("benchmarks", folder / "one", folder / "two")
    assert outcome.code == 0, outcome.err
    lines = [" ".join(line.replace("│", " ").split()) for line in outcome.out.splitlines()]
    assert "mean of BLiMP 80.00 90.00" in lines and "anaphor agreement 80.00 90.00" in lines
    assert "cola 78.25" in lines, "a task without a result has no number"


def test_the_same_as_json(command_line, folder):
    found = json.loads(command_line("benchmarks", folder / "two", "--json").out)
    assert found["two"]["blimp"]["mean"] == pytest.approx(90) and found["two"]["glue"] == {"cola": 78.25}


def test_a_folder_without_results_is_reported(command_line, folder, tmp_path):
    refused = command_line("benchmarks", tmp_path)
    assert refused.code == 1 and "no such result file" in refused.err
    assert command_line("benchmarks", tmp_path / "nowhere").code == 2
