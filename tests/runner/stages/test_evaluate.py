"""What an evaluation depends on, and when it generates replies. What is done with its rows: test_run.py."""

import subprocess
import sys

import pytest
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.stages.evaluate import evaluate_key, faults, what_was_evaluated
from recipekit.schemas.evaluation_rules import generates_replies
from recipekit.schemas.evaluation_sections import Gate, Generation, SamplePrompts
from recipekit.schemas.sections import Evaluation, Recipe

pytest.importorskip("numpy", reason="needs the extra [train]: numpy")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"evaluation.metrics": ["perplexity", "token_accuracy"]}, False),
        ({"evaluation.metrics": ["perplexity", "bleu_4"]}, True),
        ({"evaluation.metrics": ["accuracy"], "evaluation.labels": ["low", "high"]}, True),
        ({"data.type": "text", "evaluation.metrics": ["perplexity"]}, False),
        ({"data.type": "classification", "evaluation.metrics": ["accuracy"]}, False),
    ],
)
def test_replies_are_generated_only_where_something_measures_them(minimal, changes, expected):
    assert generates_replies(Recipe.from_values(minimal(changes))) is expected


@pytest.mark.parametrize(
    ("kind", "left", "said"),
    [
        ("chat", 24, "24 validation rows, base and tuned"),
        ("chat", 22, "22 validation rows, base and tuned; 2 rows longer than sequence_len dropped"),
        ("classification", 23, "23 validation rows, baselines and tuned; 1 row longer than sequence_len dropped"),
    ],
)
def test_the_rows_that_are_left_are_reported_and_those_that_were_dropped(minimal, kind, left, said):
    assert what_was_evaluated(Recipe.from_values(minimal({"data.type": kind})), 24, left) == said


def test_the_evaluate_key_changes_with_what_is_measured_and_on_what():
    changes = [
        (Evaluation(), "test", "trained", ""),
        (Evaluation(), "test", "trained", "other sets"),
        (Evaluation(), "validation", "trained", ""),
        (Evaluation(), "test", "trained anew", ""),
        (Evaluation(metrics=("token_accuracy",)), "test", "trained", ""),
        (Evaluation(max_rows=5), "test", "trained", ""),
        (Evaluation(confidence=0.9), "test", "trained", ""),
        (Evaluation(generation=Generation(max_new_tokens=1)), "test", "trained", ""),
        (Evaluation(gates={"perplexity": Gate(max=9)}), "test", "trained", ""),
        (Evaluation(prompts=SamplePrompts(("Hi",))), "test", "trained", ""),
        (Evaluation(prompts=SamplePrompts(("Hello",))), "test", "trained", ""),
        (Evaluation(prompts=SamplePrompts(("Hello",), generation=Generation(seed=7))), "test", "trained", ""),
    ]
    assert len({evaluate_key(*values) for values in changes}) == len(changes)


def test_the_evaluate_key_changes_with_the_file_of_prompts(tmp_path):
    file = tmp_path / "prompts.txt"
    evaluation, keys = Evaluation(prompts=SamplePrompts(path=str(file))), set()
    for text in ("Hi\n", "Hello\n"):
        file.write_text(text)
        keys.add(evaluate_key(evaluation, "test", "trained", ""))
    assert len(keys) == 2


HOLDS = """
import pathlib, sys
from recipekit.runner.runtime.run_folder import RunFolder
with RunFolder(pathlib.Path(sys.argv[1])).locked():
    print(flush=True)
    sys.stdin.read()
"""


def test_an_evaluation_that_another_process_is_about_to_record_did_not_fail_to_finish(tmp_path):
    run = RunFolder(tmp_path)
    run.update(state="done", stages={"evaluate": "before"})
    what = "eval/ was replaced by another evaluation, which"
    with run.locked():
        assert faults(run) == [f"{what} did not finish"], "this process resumes it"
    with subprocess.Popen([sys.executable, "-c", HOLDS, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        assert faults(run) == [f"{what} is still at work"]
    assert faults(run) == [f"{what} did not finish"]
