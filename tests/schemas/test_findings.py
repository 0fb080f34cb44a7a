"""A finding is about the recipe that writes its key, and comes with the setting that removes it where a setting is the cause."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from recipekit.schemas.base.errors import Location
from recipekit.schemas.findings import NO_EFFECT, Finding, no_effect
from recipekit.schemas.yaml_source import Document, KeyPath

PATHS = st.lists(st.sampled_from(["training", "data", "a"]), min_size=1, max_size=3).map(tuple)
VALUES = st.none() | st.booleans() | st.just(0) | st.just("") | st.text(min_size=1, max_size=3)


def written(path: KeyPath, value: Any) -> Any:
    return {path[0]: written(path[1:], value)} if path else value


@given(PATHS, VALUES, PATHS)
def test_a_key_has_no_effect_only_where_it_is_written_whatever_its_value(path: KeyPath, value: Any, other: KeyPath) -> None:
    recipe = written(path, value)
    assert no_effect(other, "").applies(recipe) == (path[: len(other)] == other)
    assert Finding(other, "is wrong", "mend it").applies(recipe)


@given(st.booleans(), st.booleans(), st.booleans())
def test_a_key_of_the_file_that_a_setting_leaves_without_effect_can_be_removed_by_a_setting(
    has_no_effect: bool, has_settings: bool, is_set: bool
) -> None:
    path = ("training", "lora_r")
    finding = no_effect(path, " with adapter: none", "remove it") if has_no_effect else Finding(path, "is wrong", "remove it")
    places = {path: Location.of_setting("training.lora_r=8") if is_set else Location("r.yml", 4, 3)}
    places |= {("training", "adapter"): Location.of_setting("training.adapter=none")} if has_settings else {}
    problem = finding.problem(Document({}, places, places))
    removed = "remove it; for this command alone: --set training.lora_r=null"
    assert problem.hint == (removed if has_no_effect and has_settings and not is_set else "remove it")
    assert problem.what == f"training.lora_r: {finding.what}" and problem.rule == finding.rule
    assert (problem.location, finding.rule == NO_EFFECT) == (places[path], has_no_effect)
