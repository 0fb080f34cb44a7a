"""Every key of a row is read, refused by place, or named with its count, whatever the converter."""

import json
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipekit.converters.building.conversion import Batch, Spec, convert_batch, convert_stream
from recipekit.converters.building.key_meanings import MEANINGS, OF_REPLIES, REASONING, SPLITS
from recipekit.converters.building.key_use import OTHERS, KeyCounts, KeyUse
from recipekit.converters.reading.files import source_files
from recipekit.converters.reading.readers import read_file
from recipekit.converters.reading.records import Record, Row
from recipekit.converters.sources.registry import CONVERTERS, converter, is_stateless

from ...support.chats import chat

EXAMPLES = Path(__file__).parents[2] / "examples" / "converters"
CASES = [case for case in sorted(EXAMPLES.glob("*/*")) if converter(case.parent.name).INPUT != "lines"]


def rows_of(case):
    files = [file for path in sorted(case.glob("input*")) for file in source_files(str(path))]
    rows = [row for file in files for row in read_file(file, converter(case.parent.name).INPUT)[1]]
    return [row for row in rows if isinstance(row, Row) and type(row.value) is dict]


def spec_of(case, **more):
    options = json.loads((case / "options.json").read_text("utf-8")) if (case / "options.json").is_file() else {}
    record_type = options.pop("type", converter(case.parent.name).RECORD_TYPES[0])
    return Spec(record_type, case.parent.name, options, **more)


def converted(spec, rows):
    """The lines of the records, the drops by reason, and the unread keys."""
    rows = [row._replace(line=line) for line, row in enumerate(rows, 1)]
    if is_stateless(spec.converter, spec.options):
        parts = [convert_batch(spec, Batch("f", 1, rows=rows))]
    else:
        parts = [*convert_stream(spec, rows, 1 << 30)]
    counts, drops, lines = KeyCounts(), {}, []
    for part in parts:
        counts.add(part.unread)
        lines += part.lines.splitlines()
        for reason, count in part.ledger.dropped.items():
            drops[reason] = drops.get(reason, 0) + count
    return lines, drops, counts.as_json()


def messages(*rows, ignore=(), name="messages"):
    return converted(Spec("chat", name, {}, ignore_keys=ignore), [Row(row, "f", 1) for row in rows])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_a_key_that_a_converter_does_not_know_is_named_and_changes_nothing_else(case):
    rows = rows_of(case)
    if not rows:
        pytest.skip("its rows have no keys")
    lines, drops, unread = converted(spec_of(case), rows)
    strange = [row._replace(value={**row.value, "zz_unheard_of": {"deep": [1]}}) for row in rows]
    again, more_drops, named = converted(spec_of(case), strange)
    refused = sum(more_drops.values()) > sum(drops.values())
    assert named.get("zz_unheard_of", 0) or refused, "each key was read: read the keys that are used, and do not copy a row"
    if "zz_unheard_of" in named:
        assert (again, more_drops) == (lines, drops)
        assert {key: count for key, count in named.items() if key != "zz_unheard_of"} == unread
        assert "zz_unheard_of" not in converted(spec_of(case, ignore_keys=("zz_unheard_of",)), strange)[2]


MATTERS = {"kto_tag": False, "label": False, **dict.fromkeys(("weight", "sample_weight", "loss_weight"), 0),
           **dict.fromkeys(SPLITS, "test"), "train": False, "trainable": False, "loss": False,
           "answer": "reject", "status": "discarded", "is_train": False, "choices": ["a", "b"], "options": {"A": "a", "B": "b"},
           "endings": ["a", "b"],
           **dict.fromkeys(("is_test", "is_validation", "is_val", "is_dev", "is_holdout", "holdout", "is_valid", "truncated"), True),
           **dict.fromkeys(("deleted", "is_deleted", "was_cancelled", "hidden", "is_hidden", "is_unsent", "error", "is_error"), True),
           **dict.fromkeys(("unfinished", "interrupted", "is_truncated", "flagged", "is_flagged", "toxic", "is_toxic"), True),
           **dict.fromkeys(("finish_reason", "stop_reason", "done_reason"), "length"),
           **dict.fromkeys(("assignmentstatus", "assignment:status"), "Rejected"),
           **dict.fromkeys(("rating", "vote", "thumbs"), -1), **dict.fromkeys(("user_rating", "annotation"), {"rating": -1}),
           **dict.fromkeys(("is_safe", "is_correct", "is_good", "is_approved", "approved", "keep"), False),
           "feedback": "thumbs_down", "user_feedback": "Dislike", "liked": False, "is_liked": "false"}  # fmt: skip
MATTERS |= {key.replace("_", ""): value for key, value in MATTERS.items()}  # isTest


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_a_key_that_means_something_elsewhere_is_read_or_refused(case):
    rows, spec = rows_of(case), spec_of(case)
    if not rows:
        pytest.skip("its rows have no keys")
    own_keys = converter(case.parent.name).convert.__kwdefaults__.values()
    of_chats = () if case.parent.name != "table" or spec.record_type == "chat" else OF_REPLIES  # the ratings of a text judge no reply
    of_chats = (*of_chats, REASONING) if of_chats and spec.record_type == "classification" else of_chats
    for key in (key for key, (_, what) in MEANINGS.items() if what not in of_chats):
        others = [row for row in rows if key not in row.value]
        lines, drops, _ = converted(spec, others)
        marked = [row._replace(value={**row.value, key: MATTERS.get(key.lower(), "a matter of weight")}) for row in others]
        again, more_drops, named = converted(spec, marked)
        assert key not in named, f"{key} is only named"
        if is_stateless(case.parent.name, spec.options) and lines:
            refused = sum(more_drops.values()) > sum(drops.values())
            assert refused or again != lines or key in own_keys or key == "label", f"{key} is neither read nor refused"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("options", [{"id": "a", "text": "A"}]),
        ("options", {"temperature": 0.5}),
        ("Usage", "Training"),
        ("is_test", "False"),
        ("is_valid", "False"),
        ("dataset", "sst2"),
        ("AssignmentStatus", "Approved"),
        ("is_train", 1),
        ("rating", 5),
        ("feedback", "The opening hours are right."),
        ("finish_reason", "stop"),
        ("error", None),
        ("reasoning", "high"),
    ],
)
def test_a_value_that_says_nothing_of_the_training_is_only_named(key, value):
    lines, drops, unread = messages(chat("a", **{key: value}))
    assert (len(lines), drops) == (1, {}) and (key in unread) == (value is not None)


@pytest.mark.parametrize("key", ["deepseek_reasoning", "gemini_thinking_trajectory", "Complex_CoT", "rationale", "thoughts"])
def test_reasoning_is_known_by_the_last_word_of_its_key(key):
    assert messages({**chat("a"), key: "Let me think about it first."})[1] == {"key_not_read": 1}
    assert messages({**chat("a"), key: 0.7})[1] == {}
    labelled = {"text": "It rained all day.", "label": "sad", key: "The text speaks of rain."}
    assert converted(Spec("classification", "table", {}), [Row(labelled, "f", 1)])[1:] == ({}, {key: 1})


def test_moderation_of_each_message_is_looked_into():
    assert messages(chat("a", openai_moderation=[{"flagged": False}, {"flagged": True}]))[1] == {"key_not_read": 1}
    assert messages(chat("a", openai_moderation=[{"flagged": False}]))[1] == {}


@pytest.mark.parametrize("value", [None, "", [], {}], ids=repr)
def test_a_key_with_nothing_in_it_is_not_refused(value):
    lines, drops, unread = messages(chat("a", tools=value))
    assert (len(lines), drops) == (1, {}) and ("tools" in unread) == (value is not None)


def test_a_refused_key_can_be_ignored():
    assert messages(chat("a", tools=["t"]))[1] == {"key_not_read": 1}
    assert messages(chat("a", tools=["t"]), ignore=("tools",))[1:] == ({}, {})


def test_nested_keys_are_named_by_their_path_where_the_converter_looks():
    row = {"messages": chat("a")["messages"], "metadata": {"augmented": True, "odd": 1, "turns": 2}}
    assert messages(row, name="emogpt")[2] == {"metadata.odd": 1}
    assert messages(row)[2] == {"metadata": 1}, "the messages converter looks at none of it"
    assert messages(row, ignore=("metadata",))[2] == {}


def test_an_object_taken_whole_counts_as_read():
    spec = Spec("chat", "messages", {"keep_meta": ["about"]})
    lines, _, unread = converted(spec, [Row(chat("a", about={"x": [{"y": 1}]}), "f", 1)])
    assert unread == {} and json.loads(lines[0])["meta"]["about"] == {"x": [{"y": 1}]}


def test_rows_that_were_dropped_are_not_named_again():
    assert messages({"question": "a", "answer": "b"})[1:] == ({"no_messages": 1}, {})


def test_an_object_that_only_a_later_row_reads_names_its_unread_keys():
    rows = [Row({"kind": number > 1, "more": {"read": number, "unread": [{"x": 1}]}}, "f", number) for number in range(4)]
    for cut in (1, 2, 3, 4):
        counts = KeyCounts()
        for start in range(0, 4, cut):
            use = KeyUse()
            for row in use.track(rows[start : start + cut]):
                if row.value["kind"]:
                    row.value["more"]["read"]
                use.untracked(Record(row, {}), [row.value.shape])
            counts.add(use.result())
        assert counts.as_json() == {"more.unread": 4}


def test_null_values_are_not_counted():
    assert messages(chat("a", id=None), chat("b", id=3))[2] == {"id": 1}


def test_keys_that_are_data_are_counted_to_a_limit(monkeypatch):
    monkeypatch.setattr("recipekit.converters.building.key_use.MANY_SHAPES", 5)
    counts = KeyCounts()
    for number in range(150):
        use = KeyUse()
        list(use.track([Row({f"k{number}": 1}, "f", 1)]))
        counts.add(use.result())
    found = counts.as_json()
    assert len(found) == 101 and found[OTHERS] == 50 and len(counts.shapes) <= 5


def test_a_row_that_nests_a_thousand_deep_has_a_shape():
    deep = []
    for _ in range(900):
        deep = [{"a": deep}]
    assert messages(chat("a", deep=deep))[2] == {"deep": 1}


keys = st.sampled_from(["id", "source", "meta", "messages", "a", "b.c", "tags"])
scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6)
rows_strategy = st.lists(st.dictionaries(keys, values, max_size=4), min_size=1, max_size=12)


@settings(max_examples=60)
@given(rows_strategy, st.integers(1, 12))
def test_batch_boundaries_do_not_matter(more, cut):
    rows = [Row({**row, "messages": chat(str(number))["messages"]}, "f", number) for number, row in enumerate(more, 1)]
    rows = [row for row in rows if not isinstance(row.value.get("meta"), dict)]
    if not rows:
        return
    spec, whole, parts = Spec("chat", "messages", {}), KeyCounts(), KeyCounts()
    whole.add(convert_batch(spec, Batch("f", 1, rows=rows)).unread)
    for start in range(0, len(rows), cut):
        parts.add(convert_batch(spec, Batch("f", 1, rows=rows[start : start + cut])).unread)
    assert parts.as_json() == whole.as_json()
    expected = {}
    for row in rows:
        for key in row.value.keys() - {"messages", "system"}:
            if row.value[key] is not None:
                expected[key] = expected.get(key, 0) + 1
    assert whole.as_json() == expected


@given(
    st.lists(st.sampled_from([{"a": 1}, {"a": [{"b": 1}]}, {"a": [{"b": 2}, {"b": 3}]}, {"a": [{"b": 2, "c": 3}]}, 7]), max_size=9),
    st.data(),
)
def test_shapes_compared_together_are_those_of_each_row(values, data):
    def unread(together):
        use = KeyUse()
        for row in use.track([Row(value, "f", 1) for value in values], together):
            if isinstance(row.value, dict) and isinstance(found := row.value["a"], list):
                [item["b"] for item in found]
        return use.result()

    assert unread(data.draw(st.integers(2, 9))) == unread(1)


MARKS = st.dictionaries(
    st.sampled_from([*MEANINGS]), st.sampled_from([None, "", False, True, 0, "test", "reject", "a matter of weight", ["x"]]), max_size=3
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
@settings(max_examples=15)
@given(data=st.data())
def test_a_row_does_not_depend_on_its_neighbours(case, data):
    rows = rows_of(case)
    if not rows or not is_stateless(case.parent.name, spec_of(case).options):
        return
    picked = data.draw(st.lists(st.tuples(st.sampled_from(rows), MARKS), min_size=2, max_size=8))
    rows = [row._replace(value={**marks, **row.value}) for row, marks in picked]
    lines, drops, unread = converted(spec_of(case), rows)
    alone = [converted(spec_of(case), [*[Row(None, "f", 1)] * number, row]) for number, row in enumerate(rows)]
    assert [line for found, _, _ in alone for line in found] == lines, "the bytes are those of any cut into batches"
    assert sum(count for _, found, _ in alone for reason, count in found.items() if reason == "key_not_read") == drops.get(
        "key_not_read", 0
    )


def test_a_system_prompt_that_only_some_rows_have_read_is_refused_in_the_others():
    flat = "你是医生\n\n对话：\n来访者：我很难过\n医生："
    rows = [{"instruction": "a", "output": "b", "system": "S"}, {"instruction": flat, "output": "c", "system": "S"}]
    for order in (rows, rows[::-1]):
        lines, drops, _ = messages(*order, name="emollm")
        assert len(lines) == 1 and drops == {"key_not_read": 1}


contents = st.lists(
    st.fixed_dictionaries({"content": st.sampled_from(["a", "b", "a ", "é", "e\u0301"])}, optional={"train": st.booleans()}),
    min_size=2,
    max_size=2,
)


@given(st.tuples(contents, st.sampled_from(["", "S", "T"])), st.tuples(contents, st.sampled_from(["", "S", "T"])))
def test_rows_are_duplicates_when_all_that_is_read_is_equal(first, second):
    def row(turns, system):
        return {"system": system, "messages": [{"role": role, **turn} for role, turn in zip(("user", "assistant"), turns, strict=True)]}

    def meant(turns, system):
        return system, [(normalize("NFC", turn["content"]).strip(), turn.get("train")) for turn in turns]

    parts = convert_batch(Spec("chat", "messages", {}), Batch("f", 1, rows=[Row(row(*value), "f", 1) for value in (first, second)]))
    if len(parts.ends) == 2:
        assert (parts.digests[:16] == parts.digests[16:]) == (meant(*first) == meant(*second))


@pytest.mark.parametrize("name", CONVERTERS)
def test_the_unused_keys_of_a_converter_mean_nothing_elsewhere(name):
    assert not {*getattr(converter(name), "UNUSED_KEYS", ())} & {*MEANINGS}


def test_the_rating_of_a_text_judges_no_reply():
    spec = Spec("text", "table", {"text_key": "review"})
    lines, drops, unread = converted(spec, [Row({"review": "The food was cold.", "rating": -1}, "f", 1)])
    assert (len(lines), drops, unread) == (1, {}, {"rating": 1})


def test_a_row_is_refused_for_what_its_metadata_says():
    def dropped(status, **more):
        row = {"instruction": "Where is it?", "output": "Here.", "metadata": {"review": {"status": status}}}
        return converted(Spec("chat", "alpaca", {}, **more), [Row(row, "f", 1)])[1]

    assert dropped("rejected") == {"key_not_read": 1}
    assert dropped("accepted") == dropped("rejected", ignore_keys=("metadata",)) == {}
