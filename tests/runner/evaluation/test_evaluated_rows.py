"""Which rows are evaluated: a seeded choice, of the split and of each further set."""

import json

import pytest
from recipekit.runner.evaluation.evaluated_rows import require_labelled_rows, rows_that_no_training_reads, sample_rows
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Recipe

from ...support.jsonl import write_jsonl


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


def test_rows_of_the_test_split_and_of_the_sets_are_those_that_no_training_reads(tmp_path, minimal):
    for name in ("data/test.jsonl", "sets/plain/test.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True)
        write_jsonl(tmp_path / name, [{"id": f"{name}:{n}"} for n in range(9)])
    plain = {"type": "text", "sources": [{"path": "a", "converter": "text"}], "metrics": ["perplexity"], "max_rows": 2}
    changes = {"data.split": {"test": 0.1}, "evaluation.also": {"plain": plain}, "evaluation.max_rows": 4}
    found = [*rows_that_no_training_reads(tmp_path, Recipe.from_values(minimal(changes)))]
    assert [(part.name, part.record_type, len(part.lines)) for part in found] == [("test", "chat", 4), ("plain", "text", 2)]
    assert [*rows_that_no_training_reads(tmp_path / "sets", Recipe.from_values(minimal({"evaluation.also": {"plain": plain}})))] == []


@pytest.mark.parametrize("further", [False, True])
def test_labels_that_no_evaluated_row_has_are_refused_before_the_training(tmp_path, minimal, further):
    labelled, place = {"metrics": ["accuracy"], "labels": ["joy", "sad"]}, "sets/more/test.jsonl" if further else "data/validation.jsonl"
    sets = {"more": {"sources": [{"path": "x.jsonl", "converter": "messages"}], **labelled}}
    recipe = Recipe.from_values(minimal({"evaluation": {"also": sets} if further else labelled}))
    (tmp_path / place).parent.mkdir(parents=True)
    chats = [[{"role": "user", "content": "How?"}, {"role": "assistant", "content": reply}] for reply in ("喜悦", "Joy.")]
    write_jsonl(tmp_path / place, [{"id": "a", "messages": messages} for messages in chats])
    require_labelled_rows(tmp_path, recipe)
    write_jsonl(tmp_path / place, [{"id": "a", "messages": chats[0]}])
    with pytest.raises(UserError, match=r"labels: no evaluated row has a reply that is one of them: the first has '喜悦'"):
        require_labelled_rows(tmp_path, recipe)
