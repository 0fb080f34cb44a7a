"""Messages of a chat log become conversations: none is lost, and nobody's words become another's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.building.row_account import convert_rows
from recipekit.converters.reading.records import Drop, Row


def converted(*lines, **options):
    """What becomes of (person, minute, text)."""
    values = [{"from": person, "date": 60 * minute, "text": text} for person, minute, text in lines]
    return list(
        convert_rows("chat_log", [Row(value, "log.json", n) for n, value in enumerate(values, 1)], "chat", {"assistant": "B", **options})
    )


def contents(items):
    return [[message["content"] for message in item.fields["messages"]] for item in items if not isinstance(item, Drop)]


def test_a_pause_ends_a_conversation():
    log = [("A", 0, "q"), ("B", 1, "a"), ("A", 61, "q2"), ("B", 62, "a2")]
    assert contents(converted(*log)) == [["q", "a"], ["q2", "a2"]]
    assert contents(converted(*log, gap_minutes=61)) == [["q", "a", "q2", "a2"]]


def test_messages_of_one_side_are_one_message():
    assert contents(converted(("A", 0, "q"), ("C", 1, "q too"), ("B", 2, "a"), ("B", 3, "and b"))) == [["q\nq too", "a\nand b"]]


def test_what_nobody_asked_or_answered_is_counted():
    found = converted(("B", 0, "hello"), ("A", 1, "q"), ("B", 2, "a"), ("A", 3, "thanks"))
    assert contents(found) == [["q", "a"]]
    assert [(item.row.line, item.reason, item.filtered) for item in found if isinstance(item, Drop)] == [
        (1, "no_question", True),
        (4, "no_reply", True),
    ]


@pytest.mark.parametrize(
    ("value", "reason", "filtered"),
    [({"from": "A", "date": 1, "text": ""}, "no_message", True), ({"date": 1, "text": "x"}, "no_message", True),
     ({"from": "A", "text": "x"}, "no_time", False), ({"from": "A", "date": "yesterday", "text": "x"}, "no_time", False), (7, "not_a_message", False)],
)  # fmt: skip
def test_rows_that_are_no_messages_are_dropped(value, reason, filtered):
    (drop,) = convert_rows("chat_log", [Row(value, "log.json", 1)], "chat", {})
    assert (drop.reason, drop.filtered) == (reason, filtered)


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 300), st.sampled_from(["x", "y", " ", "z\nz"]))))
def test_every_message_is_in_a_conversation_or_dropped(log):
    found = converted(*log)
    spoken = "\n".join(text for conversation in contents(found) for text in conversation)
    dropped = {item.row.line for item in found if isinstance(item, Drop)}
    assert sorted(spoken.split()) == sorted(" ".join(text for n, (_, _, text) in enumerate(log, 1) if n not in dropped).split())
    for item in found:
        if not isinstance(item, Drop):
            roles = [message["role"] for message in item.fields["messages"]]
            assert roles == ["user", "assistant"] * (len(roles) // 2)
