"""Folders saved by `datasets` give their rows once, in order, and nothing of their caches."""

import json

import pytest
from recipekit.converters.reading.files import source_files
from recipekit.schemas.base.errors import UserError


def saved(folder, names, **state):
    folder.mkdir(parents=True)
    for name in (*names, "cache-0a1b.arrow", "dataset_info.json"):
        (folder / name).write_text("{}")
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names], **state}))


def names(folder):
    return [file.name for file in source_files(str(folder))]


def test_only_the_listed_files_are_data(tmp_path):
    saved(tmp_path / "mine", ["data-1.arrow", "data-0.arrow"])
    assert names(tmp_path / "mine") == ["data-1.arrow", "data-0.arrow"]


def test_a_folder_of_splits_gives_those_of_every_split(tmp_path):
    for split in ("train", "test"):
        saved(tmp_path / "mine" / split, ["data-0.arrow"])
    (tmp_path / "mine" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert names(tmp_path / "mine") == ["test/data-0.arrow", "train/data-0.arrow"]


def test_other_files_with_such_names_are_data_like_any(tmp_path):
    (tmp_path / "state.json").write_text('{"country": "Ohio"}')
    (tmp_path / "dataset_info.json").write_text("{}")
    assert names(tmp_path) == ["dataset_info.json", "state.json"]


def test_a_listed_file_that_is_missing_is_a_mistake(tmp_path):
    saved(tmp_path / "mine", ["data-0.arrow"])
    (tmp_path / "mine" / "data-0.arrow").unlink()
    with pytest.raises(UserError, match="is listed in state.json but missing"):
        names(tmp_path / "mine")


def test_unordered_rows_are_refused(tmp_path):
    saved(tmp_path / "mine", ["data-0.arrow"], _indices_data_files=[{"filename": "indices.arrow"}])
    with pytest.raises(UserError, match="row indices"):
        names(tmp_path / "mine")
