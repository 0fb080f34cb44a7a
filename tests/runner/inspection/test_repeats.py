"""Rows that say the same are found, with the place of both."""

import pytest
from recipekit.runner.inspection.repeats import DuplicateIndex, Pair, Position, input_of


def chat(question, answer, system=None):
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": [*([{"role": "system", "content": system}] if system else []), *messages]}


def filled(rows, kind="chat", scratch=None, group_by=()):
    repeats = DuplicateIndex(kind, scratch, group_by)
    for line, (fields, meta) in enumerate(rows, 1):
        repeats.add(fields, meta, Position(0, line))
    return repeats


def test_equal_rows_are_paired_with_the_first_of_them():
    repeats = filled([(chat(q, "yes"), {}) for q in "abaca"])
    assert list(repeats.equal()) == [Pair(0, 2), Pair(0, 4)]
    assert repeats.position(4) == Position(0, 5)


def test_another_system_message_does_not_make_a_row_another_one():
    assert list(filled([(chat("a", "b", "Be brief."), {}), (chat("a", "b"), {})]).equal()) == [Pair(0, 1)]


def test_the_same_question_with_another_answer_is_a_contradiction():
    repeats = filled([(chat("a", "yes"), {}), (chat("a", "yes"), {}), (chat("a", "no"), {}), (chat("b", "no"), {})])
    assert list(repeats.contradictions()) == [Pair(0, 2)]


def test_one_text_with_two_labels_is_a_contradiction():
    rows = [({"text": "a", "label": "x"}, {}), ({"text": "a", "label": "y"}, {}), ({"text": "b", "label": "x"}, {})]
    assert list(filled(rows, "classification").contradictions()) == [Pair(0, 1)]


def test_texts_have_no_input():
    repeats = filled([({"text": "a"}, {}), ({"text": "a"}, {})], "text")
    assert list(repeats.contradictions()) == []
    assert list(repeats.equal()) == [Pair(0, 1)]


@pytest.mark.parametrize("count", [3, 600])  # one batch of signatures, and several
def test_near_duplicates_are_found_at_any_distance(tmp_path, count):
    long = "a row of some length, so that one changed letter leaves most of its shingles as they were before, number"
    words = ["".join(chr(97 + (7 * n + 3 * k * n + k) % 26) for k in range(80)) for n in range(count)]
    rows = [({"text": long + " one"}, {}), *(({"text": word}, {}) for word in words), ({"text": long + " two"}, {})]
    repeats = filled(rows, "text", tmp_path / "signatures")
    assert Pair(0, count + 1) in repeats.near(0.7)


def test_equal_rows_are_not_nearly_equal_ones(tmp_path):
    rows = [({"text": "the same text of some length"}, {})] * 2
    assert list(filled(rows, "text", tmp_path / "signatures").near(0.7)) == []


def test_without_a_scratch_file_none_are_looked_for():
    assert list(filled([({"text": "x" * 50}, {}), ({"text": "x" * 51}, {})], "text").near(0.7)) == []


def test_later_rows_pair_with_the_first_that_shares_a_key():
    rows = [(chat(q, "x"), {"author": author}) for q, author in zip("abcd", ["ann", "bob", "ann", ["bob", "ann"]], strict=True)]
    repeats = filled(rows, group_by=("author",))
    assert sorted(repeats.across(repeats.groups, repeats.owners, 2)) == [Pair(0, 2), Pair(0, 3), Pair(1, 3)]
    assert list(repeats.across(repeats.groups, repeats.owners, 4)) == []


def test_the_input_of_a_chat_is_all_but_its_system_message_and_last_reply():
    assert input_of("chat", chat("a", "b", "s")) == [["user", "a"]]
