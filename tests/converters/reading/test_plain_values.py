"""Python values as JSON can hold them."""

from datetime import date

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.reading.plain_values import MAX_DEPTH, NotPlain, Plain

SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(max_size=8)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(SCALAR, inner) | st.frozensets(SCALAR, max_size=3),
    max_leaves=15,
)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({"a": (1, 2)}, {"a": [1, 2]}),
        ({1: "x", None: "y"}, {"1": "x", "": "y"}),
        ({float("nan"): "x"}, {"": "x"}),
        ([float("nan"), 0.5], [None, 0.5]),
        ({"b", "a"}, ["a", "b"]),
        (b"caf\xc3\xa9", "café"),
        (b"\xff", {"bytes": 1}),
        (True, True),
        ((1 << 64) - 1, (1 << 64) - 1),
    ],
)
def test_a_value_takes_its_json_form(value, plain):
    assert Plain(100).value(value) == plain


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({b"\xff": 1}, "not_utf8"),
        ({1: "a", "1": "b"}, "duplicate_key"),
        ("a\udc80", "not_utf8"),
        (1 << 64, "number_too_large"),
        (-(1 << 63) - 1, "number_too_large"),
    ],
)
def test_a_value_without_a_json_form_is_refused_by_reason(value, reason):
    with pytest.raises(NotPlain) as caught:
        Plain(100).value([{"a": value}])
    assert caught.value.reason == reason


def test_depth_is_limited():
    value: list = []
    for _ in range(MAX_DEPTH):
        value = [value]
    assert Plain(100).value(value) == value
    with pytest.raises(NotPlain, match="deep"):
        Plain(100).value([value])


def test_growth_is_limited_over_all_values_of_a_file():
    plain = Plain(10)
    text = "x" * (1 << 19)
    plain.value([text])
    plain.value([text])
    with pytest.raises(NotPlain, match="1000 times"):
        plain.value([text])


@given(VALUE)
def test_accepted_values_can_be_written(value):
    try:
        plain = Plain(1000).value(value)
    except NotPlain as error:
        assert error.reason in ("not_utf8", "number_too_large", "too_deep", "duplicate_key")
    else:
        orjson.dumps(plain)


def test_an_object_of_another_type_is_not_accepted():
    with pytest.raises(NotPlain, match="date"):
        Plain(100).value({"day": date(2024, 1, 1)})
