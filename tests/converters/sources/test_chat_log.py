"""Messages of a chat log become conversations: none is lost, and nobody's words become another's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.building.row_account import convert_rows
from recipekit.converters.reading.records import Drop, Row
from recipekit.converters.sources.chat_log import seconds


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


def test_a_log_that_begins_with_its_newest_message_is_refused():
    """Two messages of one minute would be a question and its answer in the wrong order."""
    log = [("B", 9, "a2"), ("A", 9, "q2"), ("B", 5, "a"), ("A", 5, "q")]
    found = converted(*log)
    assert [(item.row.line, item.reason, item.filtered) for item in found] == [(n, "newest_first", False) for n in range(1, 5)]
    assert contents(converted(*reversed(log))) == [["q", "a", "q2", "a2"]]
    slow = [("A", 3, "q"), ("B", 4, "a"), ("A", 2, "late"), ("B", 6, "b"), ("A", 7, "r"), ("B", 8, "c")]  # one is late
    assert contents(converted(*slow)) == [["q", "a"], ["late", "b", "r", "c"]]


@pytest.mark.parametrize("unit", [1, 1000, 10**6, 10**9])
def test_a_time_may_count_parts_of_seconds(unit):
    assert seconds(1790000000 * unit) == seconds(str(1790000000 * unit)) == 1790000000


@pytest.mark.parametrize(
    "event", [{"subtype": "channel_topic"}, {"subtype": "tombstone"}, {"type": "ChannelPinnedMessage"}, {"type": "Subscribe"}]
)
def test_events_are_nobodys_words(event):
    values = [{"from": who, "date": n, "text": text} for n, (who, text) in enumerate((("A", "q"), ("B", "a"), ("B", "B set the topic")))]
    values[2] |= event
    found = [*convert_rows("chat_log", [Row(value, "log.json", n) for n, value in enumerate(values, 1)], "chat", {"assistant": "B"})]
    assert contents(found) == [["q", "a"]] and [item.reason for item in found if isinstance(item, Drop)] == ["no_message"]


def test_a_message_that_was_deleted_is_left_out_and_counted():
    values = [{"from": who, "date": 60 * n, "text": who, "deleted": n == 1} for n, who in enumerate("ABB")]
    found = [*convert_rows("chat_log", [Row(value, "log.json", n) for n, value in enumerate(values, 1)], "chat", {"assistant": "B"})]
    assert [(item.row.line, item.reason, item.filtered) for item in found if isinstance(item, Drop)] == [(2, "taken_back", True)]


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


def test_an_edit_in_a_log_of_matrix_is_not_a_message_of_its_own():
    def event(sender, minute, **content):
        return {"sender": sender, "origin_server_ts": 60_000 * minute + 1_700_000_000_000, "content": content}

    edit = event("B", 2, body="* We open at ten.", **{"m.new_content": {"body": "We open at ten."}})
    values = [event("A", 0, body="When?"), event("B", 1, body="We open at tne."), edit]
    options = {"assistant": "B", "speaker_key": "sender", "text_key": "content.body", "time_key": "origin_server_ts"}
    items = [*convert_rows("chat_log", [Row(value, "log.json", n) for n, value in enumerate(values, 1)], "chat", options)]
    assert contents(items) == [["When?", "We open at tne."]]
    assert [item.reason for item in items if isinstance(item, Drop)] == ["edit_of_an_earlier_message"]
