"""Every key with the value that counts and the place that sets it."""

from collections.abc import Callable
from pathlib import Path

from recipekit.runner.runtime.resolved_values import changed_values, description, effective_values
from recipekit.schemas.extends import shipped_recipes
from recipekit.schemas.json_schema import key_paths
from recipekit.schemas.recipe import load_recipe
from recipekit.schemas.sections import Recipe

Write = Callable[..., Path]


def test_every_value_has_its_origin(recipe_file: Write, tmp_path: Path) -> None:
    recipe_file("extends: quickstart\nname: base\ntraining:\n  lora_r: 4\n", "base.yml")
    loaded = load_recipe(str(recipe_file("extends: base.yml\nname: top\n", "top.yml")), ("training.num_epochs=7",))
    values = effective_values(loaded)
    assert values["name",].origin_text == f"{tmp_path / 'top.yml'}:2:7"
    assert (values["training", "lora_r"].value, values["training", "lora_r"].origin_text) == (4, f"{tmp_path / 'base.yml'}:4:11")
    assert values["training", "learning_rate"].origin_text.startswith(f"{shipped_recipes()[0].parent / 'quickstart.yml'}:")
    assert (values["training", "num_epochs"].value, values["training", "num_epochs"].origin_text) == (7, "--set training.num_epochs=7")
    assert (values["training", "weight_decay"].value, values["training", "weight_decay"].origin_text) == (0, "default")


def test_sources_options_and_gates_are_keys_of_their_own(recipe_file: Write) -> None:
    text = "extends: quickstart\nevaluation:\n  gates: {perplexity: {max: 9}}\naxolotl: {neftune_noise_alpha: 5}\n"
    values = effective_values(load_recipe(str(recipe_file(text)), ("data.sources.0.options.max_emoji=4",)))
    assert values["data", "sources", 0, "options", "max_emoji"].value == 4
    assert values["evaluation", "gates", "perplexity", "max"].value == 9
    assert values["evaluation", "gates", "perplexity", "min"].value is None
    assert values["axolotl", "neftune_noise_alpha"].value == 5


def test_every_key_of_the_schema_is_documented() -> None:
    values = effective_values(load_recipe("quickstart"))
    shown = {".".join(part for part in path if isinstance(part, str)) for path in values}
    sections = {path for path in key_paths() if any(other.startswith(f"{path}.") for other in key_paths())}
    left_out = tuple(f"{'.'.join(map(str, path))}." for path, found in values.items() if found.value is None)  # sections that it lacks
    missing = {path for path in key_paths() if path not in shown and path not in sections and not path.startswith(left_out)}
    assert missing == {"extends", "data.sources"}
    assert {path[0] for path in values} == set(Recipe._fields)


def test_every_key_has_a_description() -> None:
    loaded = load_recipe("quickstart", ("data.sources.0.options.max_emoji=4",))
    assert [path for path in effective_values(loaded) if not description(loaded, path).get("description")] == []
    about = description(loaded, ("data", "sources", 0, "options", "max_emoji"))
    assert about["description"].startswith("Drop rows whose last reply has more emoji")


def test_of_a_new_section_only_what_is_not_the_default_is_listed(minimal: Callable[..., dict]) -> None:
    given = minimal()
    sources = given["data"]["sources"]
    more = {"path": "more.jsonl", "converter": "messages", "weight": 2}
    found = changed_values(Recipe.from_values(given), Recipe.from_values(minimal({"data.sources": [*sources, more]})))
    assert found == {("data", "sources", 1, key): (None, value) for key, value in more.items()}
    without, of_defaults = (
        Recipe.from_values(minimal({"evaluation.prompts": {"texts": ["Hi"], **own}})) for own in ({}, {"generation": {}})
    )
    assert ("evaluation", "prompts", "generation", "seed") in changed_values(without, of_defaults), (
        "a section of defaults alone is a change too"
    )


def test_keys_that_only_one_recipe_has_are_changed_and_the_empty_place_of_the_other_is_not(minimal: Callable[..., dict]) -> None:
    source = {"path": "rows.jsonl", "converter": "emogpt"}
    without = Recipe.from_values(minimal({"data.sources": [source]}))
    with_options = Recipe.from_values(minimal({"data.sources": [{**source, "options": {"max_emoji": 4}}]}))
    assert changed_values(with_options, without) == {("data", "sources", 0, "options", "max_emoji"): (4, None)}
    assert changed_values(without, with_options) == {("data", "sources", 0, "options", "max_emoji"): (None, 4)}
