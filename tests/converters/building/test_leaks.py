"""Rows in two splits are found and reported."""

import pytest
from recipekit.converters.building.leaks import SHOWN, Leak, Pair, find_leaks, refuse
from recipekit.schemas.base.errors import GateError

from ...support.jsonl import write_jsonl

TRAIN, VALIDATION, TEST = 0, 1, 2


def keys(letters):
    return b"".join(letter.encode() * 16 for letter in letters)


def test_rows_with_one_key_in_one_split_are_not_leak():
    assert list(find_leaks("row", keys("aab"), range(3), [TRAIN, TRAIN, TEST])) == []
    assert list(find_leaks("row", b"", range(0), [])) == []


def test_every_row_apart_from_the_first_of_its_key_is_a_pair():
    found = find_leaks("row", keys("abaab"), range(5), [TRAIN, TEST, TEST, VALIDATION, TEST])
    assert list(found) == [Pair("row", 0, 2), Pair("row", 0, 3)]


def test_rows_with_several_keys_are_reported_by_their_owner():
    found = find_leaks("group", keys("abbc"), [0, 0, 1, 2], [TRAIN, TEST, TEST])
    assert list(found) == [Pair("group", 0, 1)]


def test_a_leak_stops_with_the_ids_of_both_rows(tmp_path):
    lines = write_jsonl(tmp_path / "rows", [{"id": "a:1"}, {"id": "a:2"}, {"id": "a:3"}])
    with pytest.raises(GateError) as caught:
        refuse([Pair("row", 0, 2)], lines, [TRAIN, TRAIN, TEST])
    assert str(caught.value.problems[0]) == "the same row is in train (a:1) and test (a:3)"
    assert caught.value.problems[-1].what == "1 leaks between splits"
    assert caught.value.exit_code == 3


def test_many_leaks_are_counted_and_the_first_listed(tmp_path):
    lines = write_jsonl(tmp_path / "rows", [{"id": f"a:{n}"} for n in range(100)])
    with pytest.raises(GateError) as caught:
        refuse([Pair("row", 0, n) for n in range(1, 100)], lines, [TRAIN] + [TEST] * 99)
    assert len(caught.value.problems) == SHOWN + 1
    assert caught.value.problems[-1].what == f"99 leaks between splits (the first {SHOWN} are listed)"
    assert "group_by" in caught.value.problems[-1].hint


def test_no_leaks_pass(tmp_path):
    refuse([], tmp_path / "not read", [])


def test_a_leak_reads_as_a_sentence():
    assert str(Leak("group", "a:1", "train", "b:2", "test")) == "the same group is in train (a:1) and test (b:2)"
