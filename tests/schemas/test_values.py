"""A value is looked up, set and removed by its path, and nothing else changes."""

from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from recipekit.schemas.values import is_written, replaced_at, without

KEYS = st.sampled_from(["data", "sources", "0", "a"])
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)
RECIPES = st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)
Path = tuple[Any, ...]


def leaves(value: Any, at: Path = ()) -> dict[Path, Any]:
    """The values that are neither mappings nor lists, and the empty ones of these, by path."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path: leaf for key, item in parts for path, leaf in leaves(item, (*at, key)).items()} or {at: value}


def all_paths(recipe: dict[str, Any]) -> list[Path]:
    return sorted({path[:length] for path in leaves(recipe) for length in range(1, len(path) + 1)}, key=repr)


def beside(recipe: Any, path: Path) -> dict[Path, Any]:
    """What is neither at the path nor below it."""
    return {at: leaf for at, leaf in leaves(recipe).items() if at[: len(path)] != path}


@given(RECIPES, st.data())
def test_every_path_of_a_recipe_is_written_and_no_other(recipe: dict[str, Any], data: st.DataObject) -> None:
    paths = all_paths(recipe)
    assert all(is_written(recipe, path) for path in paths)
    other = (*data.draw(st.sampled_from([(), *paths])), data.draw(KEYS | st.integers(0, 3)))
    if not isinstance(leaves(recipe).get(other[:-1]), str):
        assert is_written(recipe, other) == (other in paths)


@given(RECIPES, VALUES, st.data())
def test_a_value_is_replaced_and_all_others_are_kept(recipe: dict[str, Any], value: Any, data: st.DataObject) -> None:
    path, before = data.draw(st.sampled_from(all_paths(recipe))), deepcopy(recipe)
    changed = replaced_at(recipe, path, value)
    assert recipe == before, "nothing is changed in place"
    assert beside(changed, path) == beside(recipe, path)
    assert {at: leaf for at, leaf in leaves(changed).items() if at[: len(path)] == path} == leaves(value, path)


@given(RECIPES, st.lists(KEYS, min_size=1, max_size=3), VALUES)
def test_missing_sections_are_created(recipe: dict[str, Any], names: list[str], value: Any) -> None:
    assert replaced_at({"model": recipe}, ("new", *names), value)["model"] == recipe
    made = replaced_at({"model": recipe, "new": None}, ("new", *names), value)
    assert leaves(made["new"]) == leaves(value, tuple(names))


@given(RECIPES, st.data())
def test_a_key_is_removed_and_all_others_are_kept(recipe: dict[str, Any], data: st.DataObject) -> None:
    path, before = data.draw(st.sampled_from([path for path in all_paths(recipe) if isinstance(path[-1], str)])), deepcopy(recipe)
    changed = without(recipe, path)
    assert recipe == before and not is_written(changed, path)
    rest = beside(changed, path)
    rest.pop(path[:-1], None)  # a section that is now empty
    assert rest == beside(recipe, path)
