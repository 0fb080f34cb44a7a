"""Two validators of one schema: they must agree, on recipes and on records, whatever is done to them."""

import random
from typing import Any

import jsonschema_rs
import pytest
from jsonschema import Draft202012Validator
from recipekit.schemas.extends import shipped_recipes
from recipekit.schemas.json_schema import schema, schema_names
from recipekit.schemas.validation import check_document, validator
from recipekit.schemas.yaml_source import Document, parse_yaml, read_text

from ..support.mutation import TIMES, mutate

RECORDS: dict[str, list[dict[str, Any]]] = {
    "chat": [
        {"id": "1", "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "train": True}], "meta": {"n": 1}},
        {"id": "2", "messages": [{"role": r, "content": "x y"} for r in ("system", "user", "assistant", "tool", "assistant")]},
    ],
    "classification": [{"id": "1", "text": "some text", "label": "joy", "meta": {}}, {"id": "é", "text": "😀", "label": "1"}],
    "text": [{"id": "1", "text": " a\n", "meta": {"origin": {"line": 3}}}],
    "manifest": [
        {"recipekit": "0.1", "type": "chat", "rows_in": 3, "rows_kept": 2, "dropped": {"empty": 1}, "splits": {"train": 2}, "sources": [],
         "files": {}}
    ],
}  # fmt: skip


def disagreements(name: str, originals: list[Any], count: int) -> tuple[list[Any], int]:
    """The mutants that one validator takes and the other refuses, and how many both refuse."""
    oracle, ours, rng = Draft202012Validator(schema(name)), validator(name), random.Random(f"differential {name}")
    found, refused = [], 0
    for _ in range(count):
        mutant = mutate(rng.choice(originals), rng)
        takes = ours.is_valid(mutant)
        refused += not takes
        if takes != oracle.is_valid(mutant):
            found.append(mutant)
    return found, refused


@pytest.mark.parametrize("name", RECORDS)
def test_jsonschema_rs_and_jsonschema_agree_on_mutated_records(name: str) -> None:
    assert all(validator(name).is_valid(record) for record in RECORDS[name])
    found, refused = disagreements(name, RECORDS[name], 5_000 * TIMES)
    assert found == []
    assert 1_000 * TIMES < refused < 5_000 * TIMES, "the mutants must be both good and bad to be worth comparing"


def test_both_readers_agree_on_blank_lines() -> None:
    """Python's white space and JavaScript's are not the same: the records' schemas name both."""
    oracle = Draft202012Validator(schema("text"))
    characters = {chr(number) for number in range(0x3100)} | {"\ufeff", "\ufffc", "\U000e0020"}
    for character in characters:
        record = {"id": "1", "text": character}
        assert validator("text").is_valid(record) == oracle.is_valid(record), hex(ord(character))
        assert not (character.isspace() and validator("text").is_valid(record)), hex(ord(character))


def test_jsonschema_rs_and_jsonschema_agree_on_mutated_recipes() -> None:
    originals = [parse_yaml(read_text(path), str(path)).data for path in shipped_recipes()]
    found, refused = disagreements("recipe", originals, 2_500 * TIMES)
    assert found == []
    assert 500 * TIMES < refused < 2_500 * TIMES


def test_a_schema_error_is_never_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    from recipekit.schemas import schema_errors

    monkeypatch.setattr(schema_errors, "explain", lambda document, schema: [])
    (problem,) = check_document(Document({"recipe": 7}, {}, {}))
    assert problem.rule == "schema"
    assert problem.what


@pytest.mark.parametrize("name", schema_names())
def test_a_schema_is_a_schema_with_its_own_address(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))
    assert schema(name)["$id"].endswith(f"/{name}.schema.json")


def objects(node: Any, path: str = "") -> list[tuple[str, dict]]:
    if isinstance(node, list):
        return [found for index, item in enumerate(node) for found in objects(item, f"{path}/{index}")]
    if not isinstance(node, dict):
        return []
    own = [(path, node)] if node.get("type") == "object" else []
    return own + [found for key, item in node.items() for found in objects(item, f"{path}/{key}")]


def test_the_recipe_schema_is_closed_everywhere_but_for_what_others_check() -> None:
    open_places = [path for path, node in objects(schema("recipe")) if node.get("additionalProperties", True) is True]
    # axolotl: by axolotl_fields.json; options, converter_options: by the converter's or the task's own definition; smoke's sections: once laid over the recipe's
    assert open_places == [
        "/properties/smoke/additionalProperties",
        "/properties/axolotl",
        "/$defs/source/properties/options",
        "/$defs/generate/properties/options",
        "/$defs/generate/properties/converter_options",
    ]


@pytest.mark.parametrize("name", ["chat", "classification", "text"])
def test_records_are_closed_but_for_meta(name: str) -> None:
    assert [path for path, node in objects(schema(name)) if node.get("additionalProperties", True) is True] == ["/properties/meta"]


def test_no_schema_reaches_out_of_itself() -> None:
    for name in schema_names():
        text = str(schema(name))
        assert [ref for ref in text.split("'$ref': '")[1:] if not ref.startswith("#/")] == []


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/x.json", "file:///etc/passwd"])
def test_a_reference_to_elsewhere_would_not_be_followed(address: str) -> None:
    with pytest.raises((ValueError, jsonschema_rs.ReferencingError)):
        jsonschema_rs.validator_for({"$ref": address}, offline=True)
