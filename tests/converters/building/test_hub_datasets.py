"""Data sets on a hub: the real client libraries against a real server on the loopback."""

import io
import json
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from recipekit.converters.building import hub_datasets as hub_module
from recipekit.converters.building.hub_datasets import HubRows, commit_of, find_dataset, subsets
from recipekit.converters.building.pipeline import build
from recipekit.converters.sources.registry import converter
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Data, Source

from ...support.hub_server import Repository, serve

pytest.importorskip("huggingface_hub")
OLD, NEW = "a" * 40, "b" * 40
ROWS = [{"text": f"text {number}", "label": number % 2} for number in range(300)]
ODD = {"text": "a", "day": date(2026, 11, 28), "at": datetime(2026, 11, 28, 7, 30, tzinfo=UTC), "exact": Decimal("1.10"),
       "word": b"caf\xc3\xa9", "picture": b"\x89PNG\xff", "none": float("nan"), "within": {"days": [date(2026, 1, 1)]}}  # fmt: skip
FEATURES = {"text": {"dtype": "string", "_type": "Value"}, "label": {"names": ["sad", "glad"], "_type": "ClassLabel"}}


def parquet(rows):
    import pyarrow as pa
    import pyarrow.parquet

    sink = io.BytesIO()
    table = pa.Table.from_pylist(rows)
    if table.schema.names == [*FEATURES]:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": FEATURES}})})
    pyarrow.parquet.write_table(table, sink)
    return sink.getvalue()


@pytest.fixture(scope="module")
def hub():
    with serve() as server:
        files = {"data/train-00000-of-00001.parquet": parquet(ROWS), "data/test-00000-of-00001.parquet": parquet(ROWS[:7])}
        server.repositories["ann/moods"] = Repository({"main": NEW, "v1": OLD}, {OLD: files, NEW: files | {"broken.txt": b""}})
        server.repositories["ann/dates"] = Repository({"main": NEW}, {NEW: {"data/train-00000-of-00001.parquet": parquet([ODD])}})
        server.repositories["ann/secret"] = Repository({"main": NEW}, {NEW: {}}, token="of-ann")
        yield server


@pytest.fixture
def asked(hub, monkeypatch):
    """This process asks the loopback."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "")
    find_dataset.cache_clear()
    yield hub
    find_dataset.cache_clear()


def source(path="hf:ann/moods", **settings):
    return Source(path, "table", **settings)


def test_a_branch_and_a_tag_resolve_to_a_commit(asked):
    assert commit_of(source()) == NEW
    assert commit_of(source(revision="v1")) == OLD


def test_a_commit_is_used_without_a_request(asked):
    before = len(asked.requests)
    assert commit_of(source(revision=OLD)) == OLD
    assert len(asked.requests) == before


def test_a_commit_is_resolved_once_per_process(asked):
    assert commit_of(source()) == NEW
    asked.repositories["ann/moods"].refs["main"] = OLD
    try:
        assert commit_of(source()) == NEW
    finally:
        asked.repositories["ann/moods"].refs["main"] = NEW


@pytest.mark.parametrize(
    ("path", "revision", "what"),
    [("hf:ann/moods", "v9", "has no revision 'v9'"), ("hf:ann/none", "main", "has no such dataset, or you have no access"),
     ("hf:ann/secret", "main", "has no such dataset, or you have no access"), ("hf:two words", "main", "not a valid dataset name")],
)  # fmt: skip
def test_missing_hub_datasets_are_reported(asked, path, revision, what):
    with pytest.raises(UserError, match=what):
        find_dataset(path, revision)


def test_a_token_opens_what_is_private(asked, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "of-ann")
    assert find_dataset("hf:ann/secret", "main") == ("ann/secret", NEW)


def test_a_hub_that_cannot_be_reached_is_reported_with_what_to_do(asked, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="the hub cannot be reached") as caught:
        find_dataset("hf:ann/moods", "main")
    assert "download the dataset and use its folder" in caught.value.problems[0].hint


def test_a_converter_of_text_lines_is_refused_before_anything_is_asked(hub, tmp_path):
    before = len(hub.requests)
    with pytest.raises(UserError, match="the converter text reads text files"):
        build(Data("text", (Source("hf:ann/moods", "text"),)), tmp_path / "out")
    assert len(hub.requests) == before


def test_rows_are_streamed_at_the_recorded_commit(hub, recipe, tmp_path):
    """The user's cache cannot be written, and need not be."""
    pytest.importorskip("datasets")
    (tmp_path / "ann" / "moods").mkdir(parents=True)  # what `datasets` would take in place of the hub's
    (tmp_path / "ann" / "moods" / "train.jsonl").write_text('{"text": "not this", "label": 0}\n')
    arguments = ["convert", "--converter", "table", "hf:ann/moods", "--revision", "v1", "--hub-split", "test", "--out", "out", "--json"]
    outcome = recipe(*arguments, cwd=tmp_path, **hub.environment(Path("/proc/nothing")))
    assert outcome.returncode == 0, outcome.stderr
    (read,) = json.loads(outcome.stdout)["sources"]
    assert read["files"] == [{"name": "ann/moods/test", "format": "Hugging Face dataset", "commit": OLD, "rows": 7}]
    records = [json.loads(line) for line in (tmp_path / "out" / "train.jsonl").read_text().splitlines()]
    assert [(r["id"], r["text"], r["label"]) for r in records[:2]] == [
        ("ann/moods/test:1", "text 0", "sad"), ("ann/moods/test:2", "text 1", "glad"),
    ]  # fmt: skip
    asked = [request for request in hub.requests if "/resolve/" in request]
    assert any("data/test-00000" in request for request in asked)
    assert not [request for request in asked if NEW in request]


def test_values_are_the_same_as_those_of_the_parquet_file_itself(hub, recipe, tmp_path):
    pytest.importorskip("datasets")
    (tmp_path / "dates.parquet").write_bytes(parquet([ODD]))
    arguments = ["--type", "text", "--option", f"keep_meta={json.dumps([*ODD])}", "--out", "out"]
    metas = []
    for source in ("hf:ann/dates", "dates.parquet"):
        outcome = recipe("convert", "--converter", "table", source, *arguments, cwd=tmp_path, **hub.environment(tmp_path / "cache"))
        assert outcome.returncode == 0, outcome.stderr
        (record,) = map(json.loads, (tmp_path / "out" / "train.jsonl").read_text().splitlines())
        metas.append({key: value for key, value in record["meta"].items() if key in ODD})
    assert metas[0] == metas[1]
    assert metas[0] == {"text": "a", "day": "2026-11-28", "at": "2026-11-28T07:30:00+00:00", "exact": "1.10", "word": "café", "picture": {"bytes": 5},
                        "none": None, "within": {"days": ["2026-01-01"]}}  # fmt: skip


@pytest.fixture
def read_with(asked, tmp_path, monkeypatch):
    """The texts of a dataset whose card has this as its configuration."""

    def read(config):
        card = f"---\nconfigs:\n- config_name: default\n  {config}\n---\n".encode()
        asked.repositories["ann/card"] = Repository(
            {"main": NEW}, {NEW: {"README.md": card, "own/rows.txt": b"a row\n", "rows.txt": b"no row\n"}}
        )
        return [row.value["text"] for row in HubRows(source("hf:ann/card"), converter("table"), 1 << 20).rows()]

    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", asked.url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_ENDPOINT", asked.url)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)
    return read


@pytest.mark.parametrize("config", ["data_files: own/*.txt", "data_dir: own", "data_files: [{split: train, path: own/rows.txt}]"])
def test_a_dataset_says_which_of_its_files_are_rows(read_with, config):
    assert read_with(config) == ["a row"]


@pytest.mark.parametrize(
    "config",
    ["data_files: {0}", "data_files: 'file://{0}'", "data_dir: {1}", "data_files: ../../../{0}", "data_dir: ../../..", "data_files: own/rows.txt::{0}",
     "data_files: 'zip://*::{0}'", "data_files: 'http://127.0.0.1:1/rows.txt'", "data_files: 'hf://datasets/ann/moods/data/*'"],
)  # fmt: skip
def test_no_dataset_reads_files_of_this_machine_or_of_others(read_with, tmp_path, config):
    (tmp_path / "rows.txt").write_text("a secret\n")
    with pytest.raises(UserError, match="its card names files outside of the dataset"):
        read_with(config.format(tmp_path / "rows.txt", tmp_path))


def test_a_card_that_is_no_yaml_is_reported(read_with):
    with pytest.raises(UserError, match="cannot be loaded: while parsing"):
        read_with("data_files: [\n: :")
    with pytest.raises(UserError, match="cannot be loaded: while parsing"):
        subsets(source("hf:ann/card"), NEW)


def test_the_subsets_of_a_dataset_are_its_own(read_with):
    read_with("data_files: own/*.txt")
    assert subsets(source("hf:ann/card"), NEW) == ["default"]


def test_an_unknown_split_is_refused_with_the_existing_ones(hub, recipe, tmp_path):
    pytest.importorskip("datasets")
    arguments = ["convert", "--converter", "table", "hf:ann/moods", "--hub-split", "valid", "--out", "out"]
    outcome = recipe(*arguments, cwd=tmp_path, **hub.environment(tmp_path / "cache"))
    assert outcome.returncode == 1
    assert "hf:ann/moods: cannot be loaded: Bad split: valid. Available splits:" in outcome.stderr
    assert not (tmp_path / "out").exists()


def test_without_a_network_the_command_exits_1_with_a_hint(recipe, tmp_path):
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    outcome = recipe("convert", "--converter", "table", "hf:ann/moods", "--out", tmp_path / "out", **environment)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("hf:ann/moods: the hub cannot be reached: ")
    assert "hint: check the network and HF_ENDPOINT" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_no_token_is_written_anywhere(hub, recipe, tmp_path):
    environment = {**hub.environment(tmp_path / "cache"), "HF_TOKEN": "of-somebody-else"}
    outcome = recipe("convert", "--converter", "table", "hf:ann/secret", "--out", tmp_path / "out", **environment)
    assert outcome.returncode == 1
    written = [path for path in tmp_path.rglob("*") if path.is_file() and b"of-somebody-else" in path.read_bytes()]
    assert written == []
    assert "of-somebody-else" not in outcome.stdout + outcome.stderr


def test_a_name_is_distinguished_from_a_path():
    assert hub_module.is_on_hub(source())
    assert not hub_module.is_on_hub(source(os.path.abspath("hf:ann/moods")))
