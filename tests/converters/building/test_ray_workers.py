"""A conversion on a Ray cluster gives the same result as on one machine, whatever is killed meanwhile."""

import json
import subprocess
import sys
from importlib.util import find_spec
from random import Random

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.schemas.sections import Split

from ...support.chats import chat, chat_data, chats, contents
from ...support.jsonl import write_jsonl
from ...support.paths import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra [ray]")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Rows, and what ray_cluster.py made of them and saw."""
    folder = tmp_path_factory.mktemp("ray")
    many = [chat(Random(number).randbytes(400).hex(" ", 4)) for number in range(10_000)]  # alike, they would be counted as near-duplicates
    rows = write_jsonl(folder / "rows.jsonl", [*many, *many[:100], b"{broken\n", b"\n", {}, *chats(10)])
    argv = [sys.executable, "-m", "tests.support.ray_cluster", rows, folder / "out", folder / "site"]
    result = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    return rows, folder / "out", json.loads(result.stdout.splitlines()[-1])


def test_a_process_and_a_node_that_are_killed_in_the_middle_lose_nothing(cluster, tmp_path):
    rows, out, output = cluster
    assert output["code"] == 0, output["stderr"]
    assert output["killed"] and output["node_gone"] and output["before_the_end"]
    manifest = build(chat_data(rows, split=Split(0.1, 0), max_dropped=1), tmp_path / "out")
    assert contents(out) == contents(tmp_path / "out")
    assert manifest["rows_in"] == 10_112 == manifest["rows_kept"] + 102
    assert json.loads(output["stdout"]) == {**manifest, "out": str(out)}


def test_a_batch_that_loses_every_process_is_named(cluster):
    _, _, output = cluster
    assert output["lost"].startswith("a:7: a Ray worker was lost while it converted lines 7 to 8 of a")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "no..host:1"])
def test_a_cluster_that_does_not_answer_is_a_user_error(tmp_path, recipe, address):
    rows = write_jsonl(tmp_path / "a.jsonl", chats(3))
    result = recipe("convert", "--converter", "messages", rows, "--out", tmp_path / "out", "--engine", "ray", RAY_ADDRESS=address)
    assert result.returncode == 1, result.stderr
    assert f"no Ray cluster answers at {address}" in result.stderr
    assert not (tmp_path / "out").exists()
