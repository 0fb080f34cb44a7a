"""A file, a folder, a run or a recipe: each stands for the files of records that it has."""

import json

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.runner.inspection.inputs import find_inputs
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.yaml_writing import to_yaml

from ...support.chats import chat_data
from ...support.jsonl import write_jsonl
from ...support.records import chat
from ...support.run_files import manifest_with


def test_a_file_is_its_own_source(tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", [chat(1)])
    assert find_inputs(str(path), tmp_path) == ("rows.jsonl", {"rows.jsonl": path}, {}, False)


def test_a_converted_folder_and_a_run_mean_their_splits(tmp_path):
    data = tmp_path / "run" / "data"
    paths = {name: write_jsonl(data / f"{name}.jsonl", [chat(1)]) for name in ("train", "test")}
    (data / "manifest.json").write_text(json.dumps(manifest_with(rows_in=2)))
    write_jsonl(data / "other.jsonl", [chat(3)])
    for folder, name in ((data, "data"), (data.parent, "run")):
        assert find_inputs(str(folder), tmp_path) == (name, paths, manifest_with(rows_in=2), False)


def test_a_converted_folder_that_was_edited_is_refused(tmp_path):
    rows = write_jsonl(tmp_path / "rows.jsonl", [{"messages": chat(n)["messages"]} for n in range(20)])
    build(chat_data(rows), tmp_path / "data")
    with (tmp_path / "data" / "train.jsonl").open("ab") as stream:
        stream.write(b"\n")
    with pytest.raises(UserError, match=r"train\.jsonl is damaged"):
        find_inputs(str(tmp_path / "data"), tmp_path)
    (tmp_path / "data" / "manifest.json").write_text("[1]")
    with pytest.raises(UserError, match=r"manifest\.json: is damaged"):
        find_inputs(str(tmp_path / "data"), tmp_path)


def test_any_other_folder_means_its_files_of_records(tmp_path):
    for name in ("b.jsonl", "a.json", "notes.txt"):
        write_jsonl(tmp_path / "mine" / name, [chat(1)])
    assert list(find_inputs(str(tmp_path / "mine"), tmp_path).files) == ["a.json", "b.jsonl"]


def test_a_recipe_is_converted_first(tmp_path, recipe_file, minimal):
    write_jsonl(tmp_path / "rows.jsonl", [{"messages": chat(n)["messages"]} for n in range(20)])
    path = recipe_file(json.dumps(minimal()))
    found = find_inputs(str(path), tmp_path / "scratch", settings=("data.split.validation=0.25",))
    assert (found.name, list(found.files)) == ("small", ["train", "validation"])
    assert found.manifest["splits"] == {"train": 15, "validation": 5}


def test_a_name_is_the_recipes_where_the_folder_has_no_records(tmp_path, recipe_file, minimal, monkeypatch):
    """`recipe new notes --data notes` gives a recipe the name of the folder of its texts."""
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "rows.jsonl", [{"messages": chat(n)["messages"]} for n in range(20)])
    recipe_file(to_yaml(minimal()), "notes.yml")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("Bread.")
    assert find_inputs("notes", tmp_path / "scratch").name == "small"
    write_jsonl(tmp_path / "notes" / "a.jsonl", [chat(1)])
    assert list(find_inputs("notes", tmp_path / "scratch").files) == ["a.jsonl"]


def test_a_path_without_record_files_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such file, folder or recipe"):
        find_inputs("nowhere", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no record files in this folder"):
        find_inputs(str(tmp_path / "empty"), tmp_path)
