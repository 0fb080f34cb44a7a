"""The shipped JSON Schemas and their keys."""

from pathlib import Path

from recipekit.schemas.json_schema import key_paths, schema, schema_names, subschema


def test_key_paths_reach_into_sections() -> None:
    paths = key_paths()
    assert {"training.learning_rate", "data.split.group_by", "evaluation.generation.top_p", "name"} <= set(paths)
    assert len(set(paths)) == len(paths)


def test_a_part_of_the_schema_is_found_by_path() -> None:
    root = schema("recipe")
    assert subschema(root, ("data", "sources", 0, "weight"))["default"] == 1
    assert subschema(root, ("evaluation", "gates", "perplexity", "max"))["type"] == "number"
    assert subschema(root, ("nothing", "here")) == {}


def test_every_shipped_schema_is_listed() -> None:
    folder = Path(__file__).parents[2] / "schemas"
    assert schema_names() == sorted(path.name.removesuffix(".schema.json") for path in folder.glob("*.schema.json"))
