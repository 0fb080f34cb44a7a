"""The data stage's key changes with whatever goes into the records, and is that of the bytes that were converted."""

import gzip
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.converters.reading import file_hashes
from recipekit.converters.sources import emogpt
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.stages import data as stage
from recipekit.runner.stages.context import RunContext
from recipekit.schemas.sections import Data, Source, Split

from ...support.counting import bytes_read
from ...support.jsonl import write_jsonl
from ...support.tiny import emogpt_rows


def key_now(data):
    """The key of the section, its sources hashed now."""
    return stage.key(SimpleNamespace(data=data))


@pytest.fixture
def rows(tmp_path):
    return write_jsonl(tmp_path / "a" / "rows.jsonl", emogpt_rows(6))


def key_of_data(path, **changes):
    source = {key: changes.pop(key) for key in list(changes) if key in Source._fields}
    return key_now(Data("chat", (Source(str(path), "emogpt", **source),), **changes))


def test_the_data_key_is_the_same_for_the_same_bytes_wherever_they_lie(rows, tmp_path):
    elsewhere = tmp_path / "another folder" / "deep" / "rows.jsonl"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_bytes(rows.read_bytes())
    assert key_of_data(rows) == key_of_data(elsewhere)


def test_the_data_key_changes_with_one_byte(rows):
    before, times, content = key_of_data(rows), rows.stat(), bytearray(rows.read_bytes())
    content[-10] ^= 1
    rows.write_bytes(content)
    os.utime(rows, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (rows.stat().st_size, rows.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    assert key_of_data(rows) != before


@pytest.mark.parametrize(
    "change",
    [
        {"options": {"require_emoji": True}},
        {"weight": 2},
        {"limit": 3},
        {"split": "train"},
        {"system_prompt": "Be brief."},
        {"dedup": "none"},
        {"max_dropped": 0.5},
        {"check_leaks": "none"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_data_key_changes_with_every_key_of_the_section(rows, change):
    assert key_of_data(rows, **change) != key_of_data(rows)


@pytest.mark.parametrize(
    "split", [Split(validation=0.2), Split(test=0.1), Split(seed=1), Split(group_by=("tree_id",)), Split(stratify_by="x")]
)
def test_the_data_key_changes_with_the_split(rows, split):
    data = Data("chat", (Source(str(rows), "emogpt"),))
    assert key_now(data._replace(split=split)) != key_now(data)


def test_the_data_key_changes_with_the_converter_and_its_version(rows, monkeypatch):
    before = key_of_data(rows)
    assert key_now(Data("chat", (Source(str(rows), "messages"),))) != before
    monkeypatch.setattr(emogpt, "VERSION", emogpt.VERSION + 1)
    assert key_of_data(rows) != before


def test_the_data_key_changes_with_a_file_that_comes_into_the_folder(rows):
    before = key_of_data(rows.parent)
    write_jsonl(rows.parent / "more.jsonl", [])
    assert key_of_data(rows.parent) != before


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "folder"])
def test_the_key_after_converting_is_the_key_before(tmp_path, name):
    rows = [{"instruction": f"Question {n}?", "output": f"Answer {n}."} for n in range(6)]
    if name == "rows.csv":
        lines = ["instruction,output", *(f"{row['instruction']},{row['output']}" for row in rows)]
        (tmp_path / name).write_text("\n".join(lines))
    else:
        write_jsonl(tmp_path / name / "a.jsonl" if name == "folder" else tmp_path / name, rows)
    data = Data("chat", (Source(str(tmp_path / name), "alpaca"),))
    context = context_of(data, tmp_path / "run")
    before = key_now(data)
    stage.run(context)
    assert context.keys["data"] == before


def test_the_key_is_of_the_bytes_that_were_converted_not_of_what_was_written_since(rows, tmp_path, monkeypatch):
    def build_and_append(data, out):
        manifest = build(data, out)
        with rows.open("ab") as stream:
            stream.write(b"\n")
        return manifest

    data = Data("chat", (Source(str(rows), "emogpt"),))
    before, context = key_now(data), context_of(data, tmp_path / "run")
    monkeypatch.setattr(stage, "build", build_and_append)
    stage.run(context)
    assert context.keys["data"] == before != key_now(data)


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the system does not count what a process reads")
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "json", "jsonl.gz"])
def test_the_sources_are_read_at_most_twice(tmp_path, monkeypatch, suffix):
    """Once for the key, which earlier runs are compared by, and once to convert them; the manifest has the hash already."""
    monkeypatch.setattr(file_hashes, "SETTLED_NS", 0)
    for name, count in (("few", 2), ("many", 20_000)):  # the few have every module loaded before anything is counted
        source = write_source(tmp_path / f"{name}.{suffix}", count)
        # One split, so that nothing that was written is read again.
        data = Data("chat", (Source(str(source), "alpaca"),), split=Split(validation=0))
        context, before = context_of(data, tmp_path / name), bytes_read()
        key = stage.key(context)
        stage.run(context)
        read = bytes_read() - before
        assert context.keys["data"] == key
    size = source.stat().st_size
    assert size > 200_000
    assert 1.9 * size < read < 2.1 * size + 100_000, f"{read / size:.2f} times"


def write_source(path, count):
    rows = [{"instruction": f"Question {n} {n * 2654435761 % 2**32:x}?", "output": f"Answer {n}."} for n in range(count)]
    if path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".csv":
        path.write_text("\n".join(["instruction,output", *(f"{row['instruction']},{row['output']}" for row in rows)]))
    else:
        lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return path


def context_of(data, folder):
    loaded = SimpleNamespace(recipe=SimpleNamespace(data=data, generate=None))
    return RunContext(loaded, folder.parent, SimpleNamespace(say=lambda *words: None), RunFolder(folder))
