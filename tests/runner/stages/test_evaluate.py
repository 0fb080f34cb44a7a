"""Which rows are evaluated. What is done with them: test_run.py."""

import json

import pytest
from recipekit.runner.stages.evaluate import evaluate_key
from recipekit.runner.stages.predictions import sample_rows
from recipekit.schemas.evaluation_rules import generates_replies
from recipekit.schemas.evaluation_sections import Gate, Generation, SamplePrompts
from recipekit.schemas.sections import Evaluation, Recipe

from ...support.jsonl import write_jsonl

pytest.importorskip("numpy", reason="needs the extra [train]: numpy")


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "validation.jsonl"
    write_jsonl(path, [{"id": f"row {n}"} for n in range(40)])
    return path


def ids(lines):
    return [json.loads(line)["id"] for line in lines]


@pytest.mark.parametrize("most", [None, 40, 100])
def test_all_rows_in_their_order_where_nothing_limits_them(rows, most):
    assert ids(sample_rows(rows, most, 42)) == [f"row {n}" for n in range(40)]


def test_a_sample_is_seeded_and_without_repeats(rows):
    chosen = ids(sample_rows(rows, 10, 42))
    assert len(set(chosen)) == 10
    assert chosen == ids(sample_rows(rows, 10, 42))
    assert set(chosen) != set(ids(sample_rows(rows, 10, 43)))


def test_a_sample_is_not_the_first_rows(rows):
    assert set(ids(sample_rows(rows, 10, 42))) != {f"row {n}" for n in range(10)}


def test_a_sample_does_not_depend_on_the_order_of_rows(rows):
    before = ids(sample_rows(rows, 10, 42))
    rows.write_bytes(b"".join(reversed(rows.read_bytes().splitlines(keepends=True))))
    assert ids(sample_rows(rows, 10, 42)) == before


def test_a_larger_choice_holds_the_smaller_so_that_numbers_can_be_compared(rows):
    assert set(ids(sample_rows(rows, 5, 42))) < set(ids(sample_rows(rows, 20, 42)))


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


def test_the_evaluate_key_changes_with_what_is_measured_and_on_what():
    changes = [
        (Evaluation(), "test", "trained"),
        (Evaluation(), "validation", "trained"),
        (Evaluation(), "test", "trained anew"),
        (Evaluation(metrics=("token_accuracy",)), "test", "trained"),
        (Evaluation(max_rows=5), "test", "trained"),
        (Evaluation(confidence=0.9), "test", "trained"),
        (Evaluation(generation=Generation(max_new_tokens=1)), "test", "trained"),
        (Evaluation(gates={"perplexity": Gate(max=9)}), "test", "trained"),
        (Evaluation(prompts=SamplePrompts(("Hi",))), "test", "trained"),
        (Evaluation(prompts=SamplePrompts(("Hello",))), "test", "trained"),
        (Evaluation(prompts=SamplePrompts(("Hello",), generation=Generation(seed=7))), "test", "trained"),
    ]
    assert len({evaluate_key(*values) for values in changes}) == len(changes)


def test_the_evaluate_key_changes_with_the_file_of_prompts(tmp_path):
    file = tmp_path / "prompts.txt"
    evaluation, keys = Evaluation(prompts=SamplePrompts(path=str(file))), set()
    for text in ("Hi\n", "Hello\n"):
        file.write_text(text)
        keys.add(evaluate_key(evaluation, "test", "trained"))
    assert len(keys) == 2
