"""Minimal pairs of a folder and of the hub: checked and pinned before a model is loaded."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recipekit.converters.building.hub_datasets import find_dataset
from recipekit.runner.evaluation import blimp
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.recipe import load_recipe

from ...support.hub_server import Repository, serve
from ...support.jsonl import read_jsonl

pytest.importorskip("huggingface_hub")
COMMIT = "c" * 40
PAIRS = [{"sentence_good": f"The owls {n} sing.", "sentence_bad": f"The owls {n} sings.", "UID": "x"} for n in range(5)]


def parquet(rows):
    import pyarrow as pa
    import pyarrow.parquet

    sink = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


@pytest.fixture
def hub(monkeypatch):
    """This process asks a hub on the loopback, which has pairs in two subsets."""
    from huggingface_hub import constants

    card = "---\nconfigs:\n- config_name: agreement\n  data_files: agreement/*\n- config_name: binding\n  data_files: binding/*\n---\n"
    files = {"README.md": card.encode(), "agreement/train.parquet": parquet(PAIRS), "binding/train.parquet": parquet(PAIRS[:2])}
    with serve() as server:
        server.repositories["ann/pairs"] = Repository({"main": COMMIT}, {COMMIT: files})
        server.repositories["ann/wrong"] = Repository({"main": COMMIT}, {COMMIT: {"train.parquet": parquet([{"good": "a"}])}})
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", "")
        find_dataset.cache_clear()
        yield server
        find_dataset.cache_clear()


PREPARE = """
import sys
from recipekit.runner.evaluation import blimp
from recipekit.schemas.base.errors import UserError
try:
    print(blimp.prepare(sys.argv[1]))
except UserError as error:
    print(error)
"""


def prepare(hub, value, folder):
    """What a process of its own prints that asks this hub, with a cache in the folder."""
    environment = {**os.environ, **hub.environment(folder), "RECIPEKIT_CACHE": str(folder / "cache")}
    done = subprocess.run([sys.executable, "-c", PREPARE, value], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def test_pairs_of_the_hub_become_a_folder_once(hub, tmp_path):
    folder = prepare(hub, "hf:ann/pairs", tmp_path)
    found = {name: read_jsonl(path) for name, path in blimp.files(Path(folder)).items()}
    assert {name: len(rows) for name, rows in found.items()} == {"agreement": 5, "binding": 2}
    assert found["binding"][0] == {"sentence_good": "The owls 0 sing.", "sentence_bad": "The owls 0 sings."}
    asked = len(hub.requests)
    assert prepare(hub, f"hf:ann/pairs@{COMMIT}", tmp_path) == folder
    assert len(hub.requests) == asked, "a commit that is there is asked of nobody"


def test_the_run_records_the_commit_and_a_folder_stays_what_it_is(hub, recipe_file, minimal):
    path = recipe_file(json.dumps(minimal({"evaluation.blimp": "hf:ann/pairs"})))
    pinned = blimp.pin_pairs(load_recipe(str(path)))
    assert pinned.recipe.evaluation.blimp == pinned.document.data["evaluation"]["blimp"] == f"hf:ann/pairs@{COMMIT}"
    assert blimp.identity("hf:ann/pairs") == blimp.identity(f"hf:ann/pairs@{COMMIT}")
    of_folder = load_recipe(str(path), ("evaluation.blimp=pairs",))
    assert blimp.pin_pairs(of_folder) is of_folder


def test_a_dataset_without_pairs_is_refused(hub, tmp_path):
    assert "default.jsonl:1 has no sentence_good and sentence_bad" in prepare(hub, "hf:ann/wrong", tmp_path)


def test_a_folder_without_pairs_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        blimp.prepare(str(tmp_path / "nowhere"))


def test_a_shipped_recipe_names_its_pairs_relative_to_itself():
    loaded = load_recipe("babylm_corpus", smoke=True)
    assert blimp.prepare(loaded.recipe.evaluation.blimp).endswith("recipes/data/minimal_pairs")
    assert load_recipe("babylm_corpus").recipe.evaluation.blimp == "hf:nyu-mll/blimp"
