"""The scanner finds every value of a document, in any layout, at any size of its blocks; a broken one costs that one."""

import io
import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.reading import json_items as module
from recipekit.converters.reading.json_items import field_items, fields_of, json_items


def items(text, **options):
    return list(json_items(io.BytesIO(text), **options))


def texts(text):
    return [item.text for item in items(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", []),
        (b"[]", []),
        (b" [ ]\n", []),
        (b'[1, "two", {"three": [3]}, null]', [b"1", b'"two"', b'{"three": [3]}', b"null"]),
        (b'{"a": 1}', [b'{"a": 1}']),
        (b'{"a": 1}{"b": 2}\n{"c": 3}', [b'{"a": 1}', b'{"b": 2}', b'{"c": 3}']),
        (b"[1][2]\n[3]", [b"1", b"2", b"3"]),
        (b"[][ ]\n[\n] [1][][]{}", [b"1", b"{}"]),
        (b'\xef\xbb\xbf[{"a": "]"}]', [b'{"a": "]"}']),
        (rb'["a\"]", "\\", "b"]', [rb'"a\"]"', rb'"\\"', b'"b"']),
    ],
)
def test_values_come_one_by_one(text, found):
    assert texts(text) == found
    assert not any(item.fault for item in items(text))


def test_each_has_the_line_on_which_it_begins():
    assert [(item.line, item.text) for item in items(b'[\n  {"a":\n 1},\n\n {"b": 2}, {"c": 3}]')] == [
        (2, b'{"a":\n 1}'),
        (5, b'{"b": 2}'),
        (5, b'{"c": 3}'),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"[1, 2", "the array is not closed"),
        (b"[", "the array is not closed"),
        (b'["a', "the array is not closed"),
        (b"[1}", "the array is closed by a brace"),
        (b"[1,]", "trailing comma"),
        (b"[1,\n", "the array is not closed"),
    ],
)
def test_an_array_that_does_not_end_as_it_should_has_a_fault(text, fault):
    assert items(text)[-1].fault == fault


def test_a_last_comma_may_be_allowed():
    assert [item.text for item in items(b"[1,\n]", last_comma=lambda: True)] == [b"1"]


@pytest.mark.parametrize("text", [b"[1,,2]", b"[,1]", b"[1] x", b"[1]]", b'{"a": 1}}', b'[{"a": 1}]},{"b": 2}]', b"[1 2]", b"[1]x[2]"])
def test_invalid_values_are_left_to_the_parser(text):
    refused = 0
    for item in items(text):
        try:
            orjson.loads(item.text)
        except orjson.JSONDecodeError:
            refused += 1
    assert refused


def test_elements_after_a_stray_bracket_are_still_counted():
    assert len(items(b'[{"a": 1}], {"b": 2}, {"c": 3}]')) == 4


@pytest.mark.parametrize("before", [b"", b'{"k": 1},'])
@pytest.mark.parametrize(
    "long", [b'"' + b"x" * 5000 + b'"', b'{"a": "' + rb"\"]\\" * 1500 + b'"}', b"[" * 3000 + b"]" * 3000, b"[" + b"1, " * 3000 + b"1]"]
)
def test_a_value_beyond_the_limit_is_dropped_and_the_rest_is_kept(monkeypatch, before, long):
    monkeypatch.setattr(module, "MAX_ITEM", 1000)
    monkeypatch.setattr(module, "BLOCK", 100)
    found = items(b"[" + before + b"\n\n" + long + b',\n{"last": 1}]')
    *kept, dropped, last = found
    assert [item.text for item in kept] == ([b'{"k": 1}'] if before else [])
    assert (dropped.line, dropped.text, dropped.reason) == (3, b"", "value_too_long")
    assert (last.line, last.text, last.fault) == (4, b'{"last": 1}', "")


def test_a_long_value_is_not_kept_in_memory(monkeypatch):
    monkeypatch.setattr(module, "MAX_ITEM", 10_000)
    monkeypatch.setattr(module, "BLOCK", 1000)
    scanner = module._Scanner(io.BytesIO(b'["' + rb"\\" * 500_000 + b'", 1]'), lambda: False)
    longest, found = 0, []
    for item in scanner.items():
        found.append(item.reason if item.fault else item.text)
        longest = max(longest, len(scanner.buffer))
    assert found == ["value_too_long", b"1"]
    assert longest < 50_000


def test_white_space_does_not_make_a_value_long(monkeypatch):
    monkeypatch.setattr(module, "MAX_ITEM", 100)
    monkeypatch.setattr(module, "BLOCK", 64)
    assert texts(b"[1," + b" " * 5000 + b"2]" + b" " * 5000) == [b"1", b"2"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=6), st.sampled_from([None, 0, 2]), st.booleans(), st.integers(1, 30), st.integers(1, 60))
def test_an_array_of_anything_gives_its_elements_in_any_layout_and_block(values, indent, ascii_only, block, longest):
    text = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        assert [json.loads(item.text) for item in items(text)] == values
        patch.setattr(module, "MAX_ITEM", longest)
        capped = items(text)
    assert len(capped) == len(values)
    for item, value in zip(capped, values, strict=True):
        assert item.reason == "value_too_long" if item.fault else json.loads(item.text) == value


@given(st.lists(st.dictionaries(st.text(max_size=3), JSON, max_size=2), max_size=5), st.sampled_from(["", " ", "\n", "\r"]))
def test_objects_that_follow_each_other_are_found(values, between):
    text = between.join(json.dumps(value, ensure_ascii=False) for value in values).encode()
    assert [json.loads(item.text) for item in items(text)] == values


@given(st.text('[]{},"\\ a1:\n', max_size=40), st.integers(1, 9))
def test_the_size_of_the_blocks_changes_nothing_whatever_the_text(text, block):
    whole = items(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        assert items(text.encode()) == whole


def test_empty_arrays_are_skipped_with_correct_line_numbers(monkeypatch):
    searched = []

    class Counted:
        @staticmethod
        def search(*arguments):
            searched.append(1)
            return module_token.search(*arguments)

    module_token = module._TOKEN
    monkeypatch.setattr(module, "_TOKEN", Counted)
    (found,) = items(b"[]\n" * 100_000 + b"[7]")
    assert (found.text, found.line) == (b"7", 100_001)
    assert len(searched) < 100


VALUES = st.recursive(st.none() | st.integers() | st.text(max_size=4), lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(max_size=3), of, max_size=3))  # fmt: skip


@given(st.dictionaries(st.sampled_from(["a", "b", '"', "data", "\u00e9", "[{"]), VALUES), st.integers(1, 9))
def test_a_list_in_an_object_is_found_by_its_key(document, block):
    text = json.dumps(document).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        for key, value in document.items():
            found = [*field_items(io.BytesIO(text), key)]
            if isinstance(value, list):
                assert [json.loads(item.text) for item in found] == value
            else:
                assert [item.reason for item in found] == ["no_such_field"]
        counts = {key: sum(isinstance(item, dict) for item in value) for key, value in document.items() if isinstance(value, list)}
        assert dict(fields_of(io.BytesIO(text))) == {key: count for key, count in counts.items() if count}


@pytest.mark.parametrize("text", [b"", b"[", b'[{"a": [{}]}]', b'{"a": {"b": [{}]}}', b'"a": [{}]', b"{[{}]}", b"]", b'{"a" [[{'])
def test_lists_elsewhere_are_not_fields(text):
    assert "a" not in fields_of(io.BytesIO(text)) and "b" not in fields_of(io.BytesIO(text))
