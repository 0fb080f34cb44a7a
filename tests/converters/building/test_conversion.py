"""A batch becomes lines, digests and an account, the same wherever the rows are cut."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.building.conversion import Batch, Spec, convert_batch, convert_stream
from recipekit.converters.building.row_hashes import WIDTH
from recipekit.converters.reading.records import Drop, Part, Record, Row
from recipekit.converters.sources import registry
from recipekit.schemas.sections import Data, Source, Split

from ...support.chats import chat, chats

CHATS = Spec("chat", "messages", {})


def lines(*rows):
    return [row if isinstance(row, bytes) else orjson.dumps(row) + b"\n" for row in rows]


def block(*rows):
    return b"".join(lines(*rows))


def ids(found):
    return [orjson.loads(line)["id"] for line in found.lines.splitlines()]


def test_valid_rows_become_lines_with_ends_and_digests():
    found = convert_batch(CHATS, Batch("a", 5, block(*chats(3))))
    assert ids(found) == ["a:5", "a:6", "a:7"]
    assert list(found.ends)[-1] == len(found.lines)
    assert found.lines[found.ends[0] : found.ends[1]] == found.lines.splitlines(keepends=True)[1]
    assert len(found.digests) == 3 * WIDTH
    assert (found.ledger.read, found.ledger.rows_in) == (3, 0)


def test_a_batch_may_be_empty():
    found = convert_batch(CHATS, Batch("a", 1, rows=[]))
    assert (found.lines, found.digests, found.ledger.read) == (b"", b"", 0)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"messages": [}\n', "invalid_json"),
        (b'{"messages": "\xff"}\n', "not_utf8"),
        (b'{"messages": [{"role": "user", "content": "\\ud83d"}]}\n', "invalid_json"),
        (b'{"messages": [NaN]}\n', "invalid_json"),
        (b"[" * 2000 + b"]" * 2000 + b"\n", "invalid_json"),
        (b"17\n", "no_messages"),
        (b"{}\n", "no_messages"),
        (b'{"messages": [{"role": "user", "content": "q"}]}\n', "one_message"),
        (b'{"messages": [{"role": "user", "content": "q", "name": "x"}]}\n', "unknown_message_key"),
    ],
)
def test_a_row_that_cannot_be_used_is_a_drop_with_its_line(line, reason):
    found = convert_batch(CHATS, Batch("a", 1, block(chat("x"), line, chat("y"))))
    assert ids(found) == ["a:1", "a:3"]
    assert found.ledger.dropped == {reason: 1}
    assert str(found.ledger.examples[0]).startswith(f"a:2: {reason}")


def test_blank_lines_and_a_byte_order_mark_are_not_rows():
    found = convert_batch(CHATS, Batch("a", 1, b"\xef\xbb\xbf" + block(chat("x"), b"\n \t\r\n\r\n", chat("y"))))
    assert ids(found) == ["a:1", "a:5"]
    assert found.ledger.read == 2


def test_a_byte_order_mark_in_the_middle_is_no_fault():
    found = convert_batch(CHATS, Batch("a", 7, b"\xef\xbb\xbf" + lines(chat("x"))[0]))
    assert not found.ledger.dropped and ids(found) == ["a:7"]


def test_text_that_cannot_be_written_is_a_drop():
    rows = [Row(chat("a\ud83d"), "a", 1), Row(chat("b", **{"meta": {"n": 2**70}}), "a", 2), Row(chat("c"), "a", 3)]
    found = convert_batch(CHATS, Batch("a", 1, rows=rows))
    assert found.ledger.dropped == {"not_json": 2}
    assert ids(found) == ["a:3"]


def test_drops_of_the_reader_are_counted():
    rows = [Drop(Row(None, "a", 1), "ragged_row"), Row(chat("x"), "a", 2), Drop(Row(None, "a", 3), "not_utf8")]
    found = convert_batch(CHATS, Batch("a", 1, rows=rows))
    assert (found.ledger.read, found.ledger.dropped) == (3, {"ragged_row": 1, "not_utf8": 1})
    assert [example.row.line for example in found.ledger.examples] == [1, 3]


def test_the_system_prompt_of_the_recipe_is_written():
    found = convert_batch(CHATS._replace(system_prompt="Be brief."), Batch("a", 1, block(chat("x"))))
    assert orjson.loads(found.lines)["messages"][0]["content"] == "Be brief."
    assert found.digests != convert_batch(CHATS, Batch("a", 1, block(chat("x")))).digests


def test_groups_and_strata_are_noted_where_they_are_asked_for():
    rows = lines(chat("x", tree=1, topic="a"), chat("y", topic="b"))
    spec = Spec("chat", "messages", {"keep_meta": ["tree", "topic"]}, group_by=("tree",), stratify_by="topic")
    found = convert_batch(spec, Batch("a", 1, b"".join(rows)))
    assert [len(keys) for keys in found.keys] == [1, 0]
    assert found.strata == ["a", "b"]
    assert convert_batch(CHATS, Batch("a", 1, b"".join(rows))).keys == []


def test_a_spec_is_what_the_recipe_says():
    data = Data("chat", (Source("p", "messages", {"last_only": True}),), "Be brief.", split=Split(group_by=("t",)), dedup="near")
    spec = Spec.of(data, data.sources[0], "0/")
    assert spec == Spec("chat", "messages", {"last_only": True}, "0/", "Be brief.", ("t",), None, True, has_splits=True)
    assert not Spec.of(data._replace(dedup="exact"), data.sources[0], "").near


@given(
    st.lists(
        st.sampled_from([orjson.dumps(row) + b"\n" for row in chats(4)] + [b"{\n", b"\n", b"{}\n", b'{"messages":[]}\n']), max_size=25
    ),
    st.integers(1, 6),
)
def test_batch_size_does_not_change_records(rows, size):
    whole = convert_batch(CHATS, Batch("a", 1, b"".join(rows)))
    parts = [convert_batch(CHATS, Batch("a", 1 + at, b"".join(rows[at : at + size]))) for at in range(0, len(rows), size)]
    assert b"".join(part.lines for part in parts) == whole.lines
    assert b"".join(part.digests for part in parts) == whole.digests
    assert sum(part.ledger.read for part in parts) == whole.ledger.read
    assert sum((part.ledger.dropped for part in parts), start=type(whole.ledger.dropped)()) == whole.ledger.dropped
    assert [example for part in parts for example in part.ledger.examples] == whole.ledger.examples
    assert whole.ledger.read == len(whole.ends) + whole.ledger.dropped.total()


class Losing:
    """A converter with a bug: it forgets a row."""

    VERSION = 1
    RECORD_TYPES = ("text",)
    INPUT = "values"
    STATELESS = True

    @staticmethod
    def convert(rows, kind):
        for row in rows:
            if row.line != 2:
                yield Record(row, {"text": "t"}, {}, ("repaired",))


class Joining(Losing):
    """A converter that makes one record of all rows, and drops each that it has joined."""

    STATELESS = False

    @staticmethod
    def convert(rows, kind):
        seen = list(rows)
        for row in seen[1:]:
            yield Drop(row, "joined", filtered=True)
        for part in range(3):
            yield Record(seen[0], {"text": f"{part} of {len(seen)}"})


class Grouping(Losing):
    """A converter that makes one record of all rows of a group, with a bug on request."""

    STATELESS = False

    @staticmethod
    def convert(rows, kind, forgets):
        first = {}
        for row in rows:
            if not row.value:
                continue
            if "never grouped" in forgets and row.line == 6:
                continue
            if row.value not in first:
                first[row.value] = row
            else:
                yield Part(row, row if "part" in forgets else first[row.value])
        for row in list(first.values())["first" in forgets :]:
            yield Record(row, {"text": row.value})


@pytest.fixture
def converters(monkeypatch):
    made = {"losing": Losing, "joining": Joining, "grouping": Grouping}
    real = registry.converter
    for module in ("conversion", "row_encoder", "row_account"):
        monkeypatch.setattr(f"recipekit.converters.building.{module}.converter", lambda name: made.get(name) or real(name))


@pytest.mark.usefixtures("converters")
def test_a_converter_that_loses_a_row_is_caught():
    rows = [Row(1, "a", line) for line in (1, 2, 3)]
    spec = Spec("text", "losing", {})
    with pytest.raises(AssertionError, match="losing lost 1 rows, the first at a:2"):
        convert_batch(spec, Batch("a", 1, rows=rows))
    with pytest.raises(AssertionError, match="losing lost 1 rows, the first at a:2"):
        list(convert_stream(spec, rows, 1))


@pytest.mark.usefixtures("converters")
@pytest.mark.parametrize("forgets", [[], ["never grouped"], ["first"], ["part"]])
def test_a_converter_of_groups_accounts_for_the_rows_of_each_group(forgets):
    rows = [Row(group, "a", line) for line, group in enumerate(["x", "y", "x", "", "x", "y"], 1)]
    found = convert_stream(Spec("text", "grouping", {"forgets": forgets}), rows, 1)
    if not forgets:
        assert sum(len(part.ends) for part in found) == 2, "a record a group; the blank line holds nothing"
        return
    with pytest.raises(AssertionError, match="the converter grouping (lost|made)"):
        list(found)


@pytest.mark.usefixtures("converters")
def test_repairs_are_counted_by_record():
    found = convert_batch(Spec("text", "losing", {}), Batch("a", 1, rows=[Row(1, "a", 1), Row(1, "a", 4)]))
    assert found.fixed == {0: ("repaired",), 1: ("repaired",)}


@pytest.mark.usefixtures("converters")
@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_converter_of_many_rows_sees_them_as_one_stream(size):
    rows = [Row(1, "a", 1), Drop(Row(None, "a", 2), "invalid_json"), Row(1, "a", 3)]
    parts = list(convert_stream(Spec("text", "joining", {}), rows, size))
    found = [orjson.loads(line) for part in parts for line in part.lines.splitlines()]
    assert [row["text"] for row in found] == ["0 of 2", "1 of 2", "2 of 2"]
    assert [row["id"] for row in found] == ["a:1", "a:1#2", "a:1#3"]
    assert sum(part.ledger.read for part in parts) == 3
    assert sum(part.ledger.dropped.total() for part in parts) == 2


@pytest.mark.parametrize("value", ["web", {"site": "x"}, 5])
def test_a_key_of_meta_that_the_line_needs_is_refused(value):
    """`origin` in meta is the row's place: another one would be left out. That of an earlier conversion is replaced."""
    spec = CHATS._replace(options={"keep_meta": ["origin"]})
    found = convert_batch(
        spec, Batch("a", 1, block(chat("a", origin=value), chat("b", origin={"file": "x", "line": 1, "converter": "messages@1"})))
    )
    assert ids(found) == ["a:2"] and dict(found.ledger.dropped) == {"reserved_key": 1}
