"""A recipe over the one that it extends, and --set over both: values, and the place of each."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from recipekit.schemas.base.errors import Location, UserError
from recipekit.schemas.extends import find_recipe, load_layers, overlay, recipe_files, shipped_recipes
from recipekit.schemas.yaml_source import parse_yaml

from ..support.counting import within_lines

Write = Callable[..., Path]


def merged(base: str, top: str) -> object:
    return overlay(parse_yaml(base, "base"), parse_yaml(top, "top")).data


MERGES = {
    "mappings merge at any depth": ("a: {b: {c: 1, d: 2}}", "a: {b: {d: 3, e: 4}}", {"a": {"b": {"c": 1, "d": 3, "e": 4}}}),
    "lists replace": ("a: [1, 2, 3]", "a: [4]", {"a": [4]}),
    "a value replaces a mapping": ("a: {b: 1}", "a: 2", {"a": 2}),
    "a mapping replaces a value": ("a: 2", "a: {b: 1}", {"a": {"b": 1}}),
    "null takes a key away": ("a: {b: 1, c: 2}", "a: {b: null}", {"a": {"c": 2}}),
    "null takes a section away": ("a: {b: 1}\nd: 1", "a: null", {"d": 1}),
    "null stays where there was nothing": ("a: 1", "b: null", {"a": 1, "b": None}),
    "the order is the base's, then the top's": ("b: 1\na: 2", "c: 3\nb: 4", {"b": 4, "a": 2, "c": 3}),
}


@pytest.mark.parametrize(("base", "top", "wanted"), MERGES.values(), ids=MERGES)
def test_layers_merge(base: str, top: str, wanted: dict) -> None:
    result = merged(base, top)
    assert result == wanted
    assert list(result) == list(wanted)  # type: ignore[call-overload]


def test_places_follow_the_values() -> None:
    document = overlay(parse_yaml("a: {b: 1, c: 2}\nd: [x, y]", "base"), parse_yaml("a:\n  c: 3\nd: [z]", "top"))
    assert document.location(("a", "b")) == Location("base", 1, 8)
    assert document.location(("a", "c")) == Location("top", 2, 6)
    assert document.location(("d", 0)) == Location("top", 3, 5)
    assert document.location(("d", 1)) == Location("top", 3, 4), "the old list's second item is gone, so its place is the list's"


def test_merging_takes_linear_time() -> None:
    base = parse_yaml("\n".join(f"a{i}: {i}" for i in range(20_000)), "base")
    top = parse_yaml("\n".join(f"b{i}: {{c: {i}}}" for i in range(10_000)), "top")
    assert len(within_lines(10 * 30_000, overlay, base, top).data) == 30_000


def test_extends_names_a_file_next_to_the_recipe(recipe_file: Write, tmp_path: Path) -> None:
    recipe_file("a: {x: 1, y: 1}\nextends: grand.yml", "base.yml")
    recipe_file("a: {z: 1}\nb: 2", "grand.yml")
    top = recipe_file("extends: ../base.yml\na: {y: 2}", "top.yml", tmp_path / "folder")
    document = load_layers(top)
    assert document.data == {"a": {"z": 1, "x": 1, "y": 2}, "b": 2}, "and what is resolved no longer says extends"
    assert document.location(("b",)) == Location(str(tmp_path / "folder" / ".." / "grand.yml"), 2, 4)


def test_extends_names_a_shipped_recipe(recipe_file: Write) -> None:
    assert load_layers(recipe_file("extends: quickstart\nname: mine")).data["training"]["adapter"] == "qlora"


def failure(path: Path, *settings: str) -> str:
    with pytest.raises(UserError) as caught:
        load_layers(path, settings)
    return str(caught.value)


def test_a_missing_parent_is_reported_at_the_key(recipe_file: Write) -> None:
    path = recipe_file("a: 1\nextends: quickstrat")
    assert failure(path) == f"{path}:2:10: extends 'quickstrat': no such recipe\n    hint: did you mean 'quickstart'?"


@pytest.mark.parametrize("parent", ["nowhere/base.yml", ".", "x" * 300, "x" * 300 + "/base.yml", "loop.yml", "~/nothing.yml"])
def test_a_parent_that_cannot_be_read_is_reported_at_the_key(recipe_file: Write, tmp_path: Path, parent: str) -> None:
    (tmp_path / "loop.yml").symlink_to(tmp_path / "loop.yml")
    path = recipe_file(f'a: 1\nextends: "{parent}"')
    assert failure(path).startswith(f"{path}:2:10: extends ")


def test_an_error_inside_a_parent_is_reported_there(recipe_file: Write, tmp_path: Path) -> None:
    recipe_file("a: 1\na: 2", "base.yml")
    assert failure(recipe_file("extends: base.yml")).startswith(f"{tmp_path / 'base.yml'}:2:1: duplicate key 'a'")


def test_a_recipe_cannot_extend_itself(recipe_file: Write) -> None:
    recipe_file("extends: two.yml", "one.yml")
    assert "extends itself: one.yml -> two.yml -> one.yml" in failure(recipe_file("extends: one.yml", "two.yml")).replace(
        "two.yml -> one.yml -> two.yml", "one.yml -> two.yml -> one.yml"
    )


def test_a_long_chain_of_recipes_is_refused(recipe_file: Write) -> None:
    paths = [recipe_file(f"extends: r{index + 1}.yml", f"r{index}.yml") for index in range(3000)]
    assert "more than 10 levels of extends" in failure(paths[0])


@pytest.mark.parametrize("text", ["- a\n- b", "just text", "3"])
def test_a_recipe_is_a_mapping(recipe_file: Write, text: str) -> None:
    assert ":1:1: not a mapping of keys" in failure(recipe_file(text))


SOURCES = "data:\n  sources:\n    - {path: a.jsonl, converter: messages}\n    - {path: b.jsonl, converter: messages}\n"


def test_the_path_of_a_source_is_relative_to_the_file_that_names_it(recipe_file: Write, tmp_path: Path) -> None:
    recipe_file(SOURCES + "smoke:\n  data:\n    sources: [{path: tiny.jsonl, converter: messages}]", "base.yml", tmp_path / "base")
    document = load_layers(recipe_file("extends: base/base.yml"))
    assert [source["path"] for source in document.data["data"]["sources"]] == [str(tmp_path / "base" / f"{x}.jsonl") for x in "ab"]
    assert document.data["smoke"]["data"]["sources"][0]["path"] == str(tmp_path / "base" / "tiny.jsonl")


@pytest.mark.parametrize("path", ["hf:owner/name", "/data/rows.jsonl"])
def test_a_path_that_does_not_depend_on_the_file_stays(recipe_file: Write, path: str) -> None:
    document = load_layers(recipe_file(f"data: {{sources: [{{path: '{path}'}}]}}"))
    assert document.data["data"]["sources"][0]["path"] == path


def test_a_glob_stays_a_glob(recipe_file: Write, tmp_path: Path) -> None:
    document = load_layers(recipe_file("data: {sources: [{path: 'part/*.jsonl'}]}"))
    assert document.data["data"]["sources"][0]["path"] == str(tmp_path / "part/*.jsonl")


def test_many_sources_take_linear_time(recipe_file: Write) -> None:
    path = recipe_file("data:\n  sources:\n" + "    - {path: a, converter: b}\n" * 14_000)
    within_lines(250 * 14_000, load_layers, path)


def test_a_setting_replaces_a_value_and_is_its_place(recipe_file: Write) -> None:
    document = load_layers(recipe_file("a: {b: 1, c: 2}"), ("a.b=2e-4",))
    assert document.data == {"a": {"b": 2e-4, "c": 2}}
    assert document.location(("a", "b")) == Location("--set a.b=2e-4")
    assert document.location(("a", "c")).line == 1


def test_a_setting_reaches_into_a_list(recipe_file: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = recipe_file(SOURCES)
    monkeypatch.chdir("/")
    document = load_layers(path, ("data.sources.1.path=own.jsonl",))
    first, second = document.data["data"]["sources"]
    assert first["path"] == str(tmp_path / "a.jsonl")
    assert second == {"path": "/own.jsonl", "converter": "messages"}, "a path on the command line is relative to where it was typed"
    assert document.location(("data", "sources", 1, "path")) == Location("--set data.sources.1.path=own.jsonl")
    assert document.location(("data", "sources", 0, "path")).line == 3, "the other items keep their places"


def test_a_setting_makes_the_sections_on_its_way(recipe_file: Write) -> None:
    assert load_layers(recipe_file("a: 1"), ("b.c.d=[x, 1]",)).data == {"a": 1, "b": {"c": {"d": ["x", 1]}}}


def test_a_section_that_a_setting_makes_has_its_place(recipe_file: Write) -> None:
    document = load_layers(recipe_file("a: {b: {}}\n"), ("a.b.c.d=1",))
    assert {document.location(("a", "b", "c", *rest)) for rest in ((), ("d",))} == {Location("--set a.b.c.d=1")}
    assert document.location(("a", "b")).line == 1


def test_a_mapping_that_is_set_merges(recipe_file: Write) -> None:
    assert load_layers(recipe_file("a: {b: 1, c: 2}"), ("a={c: 3}",)).data == {"a": {"b": 1, "c": 3}}


@pytest.mark.parametrize("setting", ["a.b=null", "a.b=", "a.b=~"])
def test_a_setting_without_a_value_removes_the_key(recipe_file: Write, setting: str) -> None:
    assert load_layers(recipe_file("a: {b: 1, c: 2}"), (setting,)).data == {"a": {"c": 2}}


@pytest.mark.parametrize("setting", ["training.max_steps=20", "training={max_steps: 20}"])
def test_steps_that_are_set_replace_the_epochs_of_the_file(recipe_file: Write, setting: str) -> None:
    path = recipe_file("recipe: 1\ntraining: {num_epochs: 3, warmup_ratio: 0.1}\n")
    assert load_layers(path, (setting,)).data["training"] == {"warmup_ratio": 0.1, "max_steps": 20}
    assert load_layers(path, ("training.warmup_steps=2",)).data["training"] == {"num_epochs": 3, "warmup_steps": 2}


def test_epochs_of_a_recipe_replace_the_steps_of_the_one_that_it_extends(recipe_file: Write) -> None:
    recipe_file("recipe: 1\ntraining: {max_steps: 20}\n", name="base.yml")
    path = recipe_file("extends: base.yml\ntraining: {num_epochs: 3}\n")
    assert load_layers(path).data["training"] == {"num_epochs": 3}


def test_steps_and_epochs_in_one_command_line_both_stay_to_be_refused(recipe_file: Write) -> None:
    settings = ("training.max_steps=20", "training.num_epochs=3")
    assert load_layers(recipe_file("recipe: 1\n"), settings).data["training"] == {"max_steps": 20, "num_epochs": 3}


def test_later_settings_win(recipe_file: Write) -> None:
    assert load_layers(recipe_file("a: 1"), ("a=2", "a=3")).data == {"a": 3}


BAD_SETTINGS = {
    "a": "--set a: expected key=value",
    "=3": "--set =3: expected key=value",
    "a..b=3": "--set a..b=3: expected key=value",
    "l.3=1": "--set l.3=1: l has no item '3'\n    hint: it has 2 items, counted from 0",
    "l.x=1": "--set l.x=1: l has no item 'x'",
    "l.-1=1": "--set l.-1=1: l has no item '-1'",
    "a.b.c=1": "--set a.b.c=1: a.b is a value, not a section",
    "a=[1": "--set a=[1:1:3: not YAML",
    "a={b: 1, b: 2}": "--set a={b: 1, b: 2}:1:8: duplicate key 'b'",
    "extends=x": "--set extends=x: extends cannot be set",
    "a.b=Be # brief": "--set a.b=Be # brief: # begins a comment: what follows would be left out",
    "a.b=#1": "--set a.b=#1: # begins a comment: what follows would be left out",
}


@pytest.mark.parametrize(("setting", "what"), BAD_SETTINGS.items(), ids=BAD_SETTINGS)
def test_an_invalid_setting_is_refused(recipe_file: Write, setting: str, what: str) -> None:
    assert failure(recipe_file("a: {b: 1}\nl: [1, 2]"), setting).startswith(what)


@pytest.mark.parametrize(("text", "value"), [("C#", "C#"), ('"Be # brief"', "Be # brief"), ("['a # b', c#d]", ["a # b", "c#d"])])
def test_a_number_sign_that_begins_no_comment_is_text(recipe_file: Write, text: str, value: object) -> None:
    assert load_layers(recipe_file("a: 1"), (f"a={text}",)).data == {"a": value}


def test_every_bad_setting_is_reported_at_once(recipe_file: Write) -> None:
    assert failure(recipe_file("a: {b: 1}"), "x", "y", "a.b=2").count("expected key=value") == 2


def test_a_path_wins_over_a_shipped_name(recipe_file: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_recipe("quickstart") in shipped_recipes()
    recipe_file("a: 1", "quickstart")
    assert find_recipe("quickstart") == Path("quickstart")
    assert find_recipe("quickstart.yml") in shipped_recipes()


@pytest.mark.parametrize("folder", [".", "recipes"])
def test_a_name_finds_what_new_wrote(recipe_file: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    monkeypatch.chdir(tmp_path)
    recipe_file("recipe: 1\nname: support", "support.yml", tmp_path / folder)
    recipe_file("services: {}", "compose.yml", tmp_path)
    assert find_recipe("support") == find_recipe("support.yml") == Path(folder) / "support.yml"
    with pytest.raises(UserError, match="did you mean 'support'"):
        find_recipe("suport")
    with pytest.raises(UserError, match="compose: no such recipe"):
        find_recipe("compose")
    with pytest.raises(UserError, match="no such recipe"):
        find_recipe("support", tmp_path / "elsewhere")  # what a recipe extends does not depend on the folder one is in


def test_a_folder_of_data_does_not_hide_the_recipe_of_its_name(recipe_file: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe_file("extends: quickstart\nname: stories\n", "stories.yml")
    (tmp_path / "stories").mkdir()
    assert find_recipe("stories") == Path("stories.yml")


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(UserError, match="quikstart: no such recipe\n    hint: did you mean 'quickstart'"):
        find_recipe("quikstart")
    with pytest.raises(UserError, match="`recipe ls` lists"):
        find_recipe("zzzzzzz")


def test_a_folder_means_its_recipes(recipe_file: Write, tmp_path: Path) -> None:
    texts = {"a/x.yml": "recipe: 1", "b/c/y.yaml": "# ours\nextends: x\n", "b/d/broken.yml": "recipe: 1\n  a: [", "p.yml": "prompt: 1"}
    wanted = [recipe_file(text, Path(name).name, tmp_path / Path(name).parent) for name, text in texts.items()]
    recipe_file("recipe: 1", "z.yml", tmp_path / ".git")
    recipe_file("recipe: 1", "notes.txt", tmp_path / "a")
    recipe_file("services: {}\n# recipe: none", "compose.yml", tmp_path)
    run = tmp_path / "runs" / "x" / "20260101"
    recipe_file("recipe: 1", "recipe.yml", run)
    recipe_file("base_model: x", "axolotl.yml", run / "rendered")
    (run / "status.json").write_text("{}")
    assert recipe_files(str(tmp_path)) == wanted


def test_a_name_that_is_too_long_for_a_file_is_no_folder() -> None:
    name = "x" * 300 + ".yml"
    assert recipe_files(name) == [Path(name)]


def test_a_file_that_does_not_exist_has_the_nearest_one_of_its_folder_as_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "support.yml").write_text("recipe: 1\n")
    for name, hint in (("support.yaml", "did you mean 'support.yml'"), ("other.yml", "recipe ls"), ("nowhere/x.yml", "recipe ls")):
        with pytest.raises(UserError, match=f"no such file\n    hint: .*{hint}"):
            load_layers(Path(name))


def test_a_folder_without_recipes_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no recipes in this folder"):
        recipe_files(str(tmp_path))


@pytest.mark.parametrize("name", ["with space.yml", "new\nline.yml", "😀.yml", "-x.yml", "e\u0301.yml", "é.yml", "n" * 251 + ".yml"])
def test_a_file_may_have_any_name(recipe_file: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    recipe_file("a: 1", name)
    monkeypatch.chdir(tmp_path)
    assert load_layers(find_recipe(name)).data == {"a": 1}
    assert os.listdir(tmp_path) == [name]


def base_model(path: Path, *settings: str) -> str:
    return load_layers(path, settings).data["model"]["base_model"]


@pytest.mark.parametrize("name", ["./tuned", "../folder/tuned", "tuned", "models/tuned"])
def test_a_models_folder_is_relative_to_the_file_that_names_it(
    recipe_file: Write, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    (folder / name).mkdir(parents=True)
    path = recipe_file(f"model: {{base_model: {name}}}", folder=folder)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert base_model(path) == os.path.normpath(folder / name)
    assert base_model(recipe_file(f"extends: {path}", "extending.yml")) == os.path.normpath(folder / name)


@pytest.mark.parametrize("name", ["gpt2", "owner/model", "embedded:smollm2-135m-instruct", "run:first", "tiny:owner/model", "/a/b"])
def test_a_models_name_that_is_not_a_folder_stays(recipe_file: Write, name: str) -> None:
    assert base_model(recipe_file(f"model: {{base_model: '{name}'}}")) == name


def test_a_model_folder_in_a_setting_is_relative_to_the_working_directory(
    recipe_file: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recipe_file("model: {base_model: gpt2}", folder=tmp_path / "recipes")
    (tmp_path / "here" / "gpt2").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert base_model(path, "model.base_model=./tuned") == str(tmp_path / "here" / "tuned")
    assert base_model(path, "model.base_model=gpt2") == str(tmp_path / "here" / "gpt2")
    assert base_model(path, "name=x") == "gpt2"  # what the recipe says has nothing to do with where one is


@pytest.mark.parametrize(
    "text", ['{"text": "a"}\n{"text": "b"}\n', '{"text": "a"}\n', '[{"text": "a"}]', "a,b\n1,2\n", "a\tb: c: d\n", ""], ids=repr
)
def test_a_data_file_is_reported_with_the_command_that_reads_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match="rows.jsonl.*\n.*recipe new NAME --data"):
        load_layers(path)
