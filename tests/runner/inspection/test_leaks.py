"""What two sets of records share is found, paired and counted."""

import pytest
from recipekit.runner.inspection.inputs import Inputs
from recipekit.runner.inspection.leaks import Sides, find_leaks, list_pairs
from recipekit.runner.inspection.previews import Previews
from recipekit.runner.inspection.repeats import Position
from recipekit.schemas.base.errors import UserError

from ...support.jsonl import write_jsonl
from ...support.records import LONG, chat, labelled


def sides(tmp_path, first, second):
    return Sides.of(
        *(Inputs(name, {"train": write_jsonl(tmp_path / name / "train.jsonl", rows)}, {}) for name, rows in (("a", first), ("b", second)))
    )


def compared(tmp_path, first, second, near=0.7, group_by=(), limit=20):
    return find_leaks(sides(tmp_path, first, second), tmp_path, near, group_by, limit)


def test_nothing_shared_is_not_a_leak(tmp_path):
    found = compared(tmp_path, [labelled(1, "a"), labelled(1, "a")], [labelled(2, "a", "something else, at some length, entirely")])
    assert found.rows == {"equal": 0, "nearly_equal": 0, "same_input": 0}
    assert found.counts == (2, 1)


def test_each_kind_of_leak_is_distinguished(tmp_path):
    first = [chat(1), chat(2, question=LONG + " Ann"), chat(3, question="Why?"), chat(4, question="Where is the old bridge?", author="ann")]
    second = [
        chat(9, question="A question that nobody has asked here"), chat(1), chat(2, question=LONG + " Bob"), chat(3, "no", question="Why?"),
        chat(8, question="And one more of ann's, unlike the others", author="ann"),
    ]  # fmt: skip
    found = compared(tmp_path, first, second, group_by=("author",))
    assert found.rows == {"equal": 1, "nearly_equal": 1, "same_input": 1, "same_group": 1}
    assert found.pairs == {
        "equal": [(Position(0, 1), Position(1, 2))], "nearly_equal": [(Position(0, 2), Position(1, 3))], "same_input": [(Position(0, 3), Position(1, 4))],
        "same_group": [(Position(0, 4), Position(1, 5))],
    }  # fmt: skip


def test_every_leaking_row_is_counted_once_and_the_first_are_listed(tmp_path):
    first = [labelled(n, "a") for n in range(30)] * 2
    found = compared(tmp_path, first, [labelled(n, "a") for n in range(50)], near=None, limit=3)
    assert found.rows == {"equal": 30, "same_input": 0}
    assert found.pairs["equal"] == [(Position(0, n), Position(1, n)) for n in (1, 2, 3)]


def test_a_pair_is_reported_with_the_rows_themselves(tmp_path):
    both = sides(tmp_path, [labelled(1, "a", "shared")], [labelled(2, "a", "shared")])
    found = find_leaks(both, tmp_path, None, (), 5)
    (pair,) = list_pairs(found, Previews(both.files, [Position(0, 1), Position(1, 1)]))
    assert pair["kind"] == "equal"
    assert pair["second"] == {"file": str(tmp_path / "b" / "train.jsonl"), "line": 1, "item": 1, "row": "a: shared"}


def test_lines_that_are_not_records_do_not_shift_the_border(tmp_path):
    found = compared(tmp_path, ["{broken}", labelled(1, "a")], ["{broken}", "{}", labelled(1, "a")], near=None)
    assert found.pairs["equal"] == [(Position(0, 2), Position(1, 3))]
    assert found.bad == (1, 2)


def test_a_group_that_no_row_has_and_sides_of_two_types_are_refused(tmp_path):
    with pytest.raises(UserError, match="no row has this key"):
        compared(tmp_path, [chat(1)], [chat(2)], group_by=("auther",))
    with pytest.raises(UserError, match="classification records, and the other side chat records"):
        compared(tmp_path, [chat(1)], [labelled(2, "a")])
