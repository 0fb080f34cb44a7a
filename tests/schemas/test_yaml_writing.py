"""What is written is read back the same, by our reader and by PyYAML's (which Axolotl uses)."""

import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from recipekit.schemas.yaml_source import parse_yaml
from recipekit.schemas.yaml_writing import to_yaml

TRAPS = [
    "12e3", "0o17", "1e5", "no", "yes", "on", "~", "null", ".5", "0x1F", "1.", "+1", "-", "=",
    "12:34:56", "<<", "1_000", "014", "1.10",
    "2024-01-01", "true", "", " ", "a: b", "# x", "a\nb", "\x85", "\u2028", "*a", "&a", "!a", "%a",
    "@a", "`a", "😀", "-1e-5", "0b1", ".inf",
]  # fmt: skip


@pytest.mark.parametrize("text", TRAPS)
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    written = to_yaml({"key": text, text: "value"})
    assert parse_yaml(written, "r").data == {"key": text, text: "value"}
    assert yaml.safe_load(written) == {"key": text, text: "value"}


@pytest.mark.parametrize("number", [2e-4, 1e-7, 1e300, 1.0, 0.1, 3e-05, -1e-5, 5e-324, 1e16, 123456789.123])
def test_floats_are_written_for_every_yaml_reader(number: float) -> None:
    written = to_yaml({"key": number})
    assert parse_yaml(written, "r").data["key"] == number
    assert isinstance(yaml.safe_load(written)["key"], float)
    assert math.isclose(yaml.safe_load(written)["key"], number, rel_tol=0)


characters = st.characters(exclude_categories=["Cs", "Cc", "Cn"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False) | st.text(characters),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(characters, max_size=9), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=300)
@given(values)
def test_anything_plain_is_read_back_equal(value: object) -> None:
    assert parse_yaml(to_yaml({"v": value}), "r").data == {"v": value}


def test_the_order_of_keys_is_kept() -> None:
    assert to_yaml({"b": 1, "a": {"d": 2, "c": [1, 2]}}) == "b: 1\na:\n  d: 2\n  c:\n  - 1\n  - 2\n"
