"""Duplicate keys of an object are found, whatever the layout; objects without them pass."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.reading.json_values import duplicate_key

TEXTS = st.text(st.sampled_from('ab:"\\\\ \u00e9\U0001f600'), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def written(value, ascii_only, spaced):
    return json.dumps(value, ensure_ascii=ascii_only, separators=(" , ", " : ") if spaced else (",", ":")).encode()


@given(VALUES, st.booleans(), st.booleans())
def test_objects_of_different_keys_are_accepted(value, ascii_only, spaced):
    text = written(value, ascii_only, spaced)
    assert duplicate_key(text, orjson.loads(text)) is None


@given(st.dictionaries(TEXTS, VALUES, min_size=1), VALUES, st.booleans(), st.booleans())
def test_a_key_that_occurs_twice_is_named_at_any_depth(row, again, ascii_only, spaced):
    key = next(iter(row))
    more = written(key, ascii_only, spaced) + b": " + written(again, ascii_only, spaced)
    inner = written(row, ascii_only, spaced)[:-1] + b", " + more + b"}"
    for text in (inner, b'{"rows": [' + inner + b"]}"):
        assert duplicate_key(text, orjson.loads(text)) == key


@pytest.mark.parametrize("inside", [b"1", b'{"a": 1, "a": 2}'])
def test_deeply_nested_values_are_checked(inside):
    text = b"[" * 900 + inside + b"]" * 900
    assert (duplicate_key(text, orjson.loads(text)) is None) == (inside == b"1")


@pytest.mark.parametrize("colon", [rb"\u003a", rb"\u003A"])
def test_an_escaped_colon_does_not_hide_a_lost_key(colon):
    for text, key in ((b'{"a": 1, "a": "%s"}', "a"), (b'{"a": 1, "b": "%s"}', None)):
        assert duplicate_key(text % colon, orjson.loads(text % colon)) == key
