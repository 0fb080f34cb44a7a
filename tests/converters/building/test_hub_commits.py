"""A run takes a dataset at a commit, so that it can be resumed and reproduced."""

import json

import pytest
from recipekit.converters.building.hub_datasets import find_dataset, pin_commits
from recipekit.runner.stages.data import data_key
from recipekit.schemas.recipe import load_recipe

from ...support.hub_server import Repository, serve

pytest.importorskip("huggingface_hub")
COMMIT, LATER = "a" * 40, "b" * 40


@pytest.fixture
def load(recipe_file, minimal, tmp_path):
    (tmp_path / "rows.jsonl").write_text("{}\n")

    def loaded(*paths):
        sources = [{"path": path, "converter": "messages"} for path in paths]
        return load_recipe(str(recipe_file(json.dumps(minimal({"data.sources": sources})))))

    return loaded


@pytest.fixture
def moods(monkeypatch):
    from huggingface_hub import constants

    with serve() as hub:
        hub.repositories["ann/moods"] = Repository({"main": COMMIT}, {COMMIT: {}, LATER: {}})
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        find_dataset.cache_clear()
        yield hub.repositories["ann/moods"]
        find_dataset.cache_clear()


def test_the_commit_is_in_the_recipe_that_the_run_keeps(load, moods):
    loaded = load("hf:ann/moods", "rows.jsonl")
    pinned = pin_commits(loaded)
    assert [source.revision for source in pinned.recipe.data.sources] == [COMMIT, None]
    assert [source.get("revision") for source in pinned.document.data["data"]["sources"]] == [COMMIT, None]
    assert "revision" not in loaded.document.data["data"]["sources"][0]


def test_local_sources_make_no_request(load):
    loaded = load("rows.jsonl")
    assert pin_commits(loaded) is loaded


def test_the_data_key_depends_on_the_commit(load, moods):
    loaded = load("hf:ann/moods")
    before = data_key(loaded.recipe.data, [[]])
    assert before == data_key(pin_commits(loaded).recipe.data, [[]])
    moods.refs["main"] = LATER
    find_dataset.cache_clear()
    assert data_key(loaded.recipe.data, [[]]) != before
