"""Hashes of values."""

from recipekit.schemas.base.hashing import key_of


def test_keys_do_not_depend_on_the_order_of_a_mapping():
    assert key_of({"a": 1, "b": (1, 2)}) == key_of({"b": [1, 2], "a": 1})
    assert key_of([1, 2]) != key_of([2, 1])
