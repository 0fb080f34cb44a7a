"""A recipe whose rows lie on a hub, from the download to the report, with the real Axolotl and a real server on the loopback."""

import json

import pytest

from ...support.hub_server import Repository, serve
from ...support.single_process import SAME, settings
from ...support.tiny import emogpt_rows, write_recipe

pytestmark = [pytest.mark.train, pytest.mark.long]
COMMIT, LATER = "a" * 40, "b" * 40
ON_HUB = settings("data.sources=[{path: 'hf:ann/talks', converter: messages}]", "data.split.group_by=[]", *SAME)


def rows(count: int) -> bytes:
    return "".join(json.dumps({"messages": row["messages"]}) + "\n" for row in emogpt_rows(count)).encode()


@pytest.fixture(scope="module")
def hub():
    with serve() as server:
        files = {COMMIT: {"train.jsonl": rows(32)}, LATER: {"train.jsonl": rows(40)}}
        server.repositories["ann/talks"] = Repository({"main": COMMIT}, files)
        yield server


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_model):
    folder = tmp_path_factory.mktemp("hub")
    write_recipe(folder, tiny_model)
    return folder


@pytest.fixture(scope="module")
def first(recipe, hub, place):
    done = recipe("run", "tiny.yml", "--json", *ON_HUB, cwd=place, **hub.environment(place / "cache"))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_rows_of_a_hub_are_trained_to_the_end(first, place):
    run = place / first["run"]
    manifest = json.loads((run / "data" / "manifest.json").read_text())
    assert (manifest["rows_in"], manifest["rows_kept"], first["state"]) == (32, 32, "done")
    assert (run / "report.html").is_file() and any((run / "model").glob("*.safetensors"))
    assert f"revision: {COMMIT}" in (run / "recipe.yml").read_text(), "the run keeps the commit, not the branch"


def test_nothing_is_trained_again_until_the_branch_moves(first, place, recipe, hub):
    environment = hub.environment(place / "cache")
    same = recipe("run", "tiny.yml", "--json", *ON_HUB, cwd=place, **environment)
    assert json.loads(same.stdout)["run"] == first["run"], same.stderr
    hub.repositories["ann/talks"].refs["main"] = LATER
    moved = json.loads(recipe("run", "tiny.yml", "--json", *ON_HUB, cwd=place, **environment).stdout)
    assert moved["run"] != first["run"] and moved["stages"]["train"] == "done"
    assert json.loads((place / moved["run"] / "data" / "manifest.json").read_text())["rows_in"] == 40
