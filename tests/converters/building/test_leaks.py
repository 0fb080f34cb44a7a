"""Rows in two splits are found and reported."""

import random
import sys

import pytest
from recipekit.converters.building import leaks
from recipekit.converters.building.leaks import SHOWN, Leak, Pair, find_leaks, refuse
from recipekit.converters.building.pipeline import build
from recipekit.schemas.base.errors import GateError
from recipekit.schemas.sections import Source, Split

from ...support.chats import chat, chat_data
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
    assert caught.value.problems[-1].what == "1 leak between splits"
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


pytest.importorskip("rensa")

DRAW = random.Random(7)
WORDS = ["".join(DRAW.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(2000)]


def text():
    return " ".join(DRAW.choices(WORDS, k=40))


def near(manifest):
    return manifest["leaks"]["near_duplicates"]


@pytest.fixture
def three_splits(tmp_path):
    """A data section with 30 training rows; 2 of 5 validation rows, and 1 of 4 test rows, are a word longer than one of these."""
    train = [text() for _ in range(30)]
    rows = {"train": train, "validation": [train[3] + " more", train[4] + " more", *(text() for _ in range(3))]}
    rows["test"] = [train[5] + " more", *(text() for _ in range(3))]
    paths = {name: write_jsonl(tmp_path / f"{name}.jsonl", [chat(question) for question in asked]) for name, asked in rows.items()}
    data = chat_data()
    return data._replace(sources=tuple(Source(str(path), "messages", split=name) for name, path in paths.items()))


def test_rows_that_are_nearly_equal_to_an_earlier_splits_are_counted(three_splits, tmp_path):
    found = near(build(three_splits, tmp_path / "out"))
    assert found["threshold"] == 0.7 and found["rows"] == {"validation": 2, "test": 1}
    assert found["examples"][0] == ["0/train.jsonl:4", "1/validation.jsonl:1"]
    assert len(found["examples"]) == 3
    assert not (tmp_path / "out" / "signatures").exists()


def test_every_copy_of_a_training_row_is_counted_however_many_there_are(tmp_path):
    question = text()
    train = write_jsonl(tmp_path / "a.jsonl", [chat(f"{question} {number}") for number in range(60)])
    other = write_jsonl(tmp_path / "b.jsonl", [chat(f"{question} {number}") for number in range(60, 120)])
    data = chat_data()._replace(sources=(Source(str(other), "messages", split="validation"), Source(str(train), "messages", split="train")))
    assert near(build(data, tmp_path / "out"))["rows"] == {"validation": 60}


def test_the_threshold_is_the_recipes(three_splits, tmp_path):
    found = near(build(three_splits._replace(near_threshold=1), tmp_path / "out"))
    assert found == {"threshold": 1, "rows": {}, "examples": []}


def test_rows_that_nearly_agree_under_two_system_prompts_are_counted(tmp_path):
    question = text()
    rows = [chat(f"{question} {name}", system=f"Answer as {name} would.") for name in ("Ann", "Bob")]
    paths = [write_jsonl(tmp_path / f"{number}.jsonl", [row]) for number, row in enumerate(rows)]
    sources = [Source(str(path), "messages", split=name) for path, name in zip(paths, ("train", "test"), strict=True)]
    assert near(build(chat_data()._replace(sources=tuple(sources)), tmp_path / "out"))["rows"] == {"test": 1}


@pytest.mark.parametrize("limit", ["MAX_ROWS", "MAX_BYTES"])
def test_rows_beyond_the_limit_are_reported_as_unchecked(three_splits, tmp_path, monkeypatch, limit):
    monkeypatch.setattr(leaks, limit, 38)
    assert "data.check_leaks: near" in near(build(three_splits, tmp_path / "out"))["not_checked"]


def test_a_missing_library_is_noted_with_pip_install(three_splits, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rensa", None)
    assert near(build(three_splits, tmp_path / "out")) == {"not_checked": "needs rensa: pip install 'recipekit[data]'"}


def test_nothing_is_compared_where_the_recipe_says_so(three_splits, tmp_path):
    leaks = build(three_splits._replace(check_leaks="none"), tmp_path / "out")["leaks"]
    assert leaks == {"identical": False, "group_by": [], "near_duplicates": {"not_checked": "data.check_leaks: none"}}


def test_one_split_has_nothing_to_compare(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [chat(text()) for _ in range(5)])
    assert "leaks" not in build(chat_data(path, split=Split(0, 0)), tmp_path / "out")


@pytest.mark.parametrize("way", [{"dedup": "near"}, {"check_leaks": "near"}])
def test_removed_near_duplicates_do_not_leak(tmp_path, way):
    path = write_jsonl(tmp_path / "a.jsonl", [chat(text()) for _ in range(40)])
    assert near(build(chat_data(path, split=Split(0.2, 0), **way), tmp_path / "out"))["rows"] == {}
