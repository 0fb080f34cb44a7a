"""A data section becomes a folder of JSONL with an account that adds up, the same for any way of working."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections import Counter

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipekit.converters.building import pipeline
from recipekit.converters.building.manifest import read_manifest
from recipekit.converters.building.pipeline import build
from recipekit.runner.reporting.ledger_table import leaks_line, source_notes
from recipekit.schemas.base.errors import GateError, UserError
from recipekit.schemas.base.files import MANIFEST
from recipekit.schemas.sections import Data, Source, Split
from recipekit.schemas.validation import validator

from ...support.chats import chat, chat_data, chats, contents
from ...support.jsonl import read_jsonl, write_jsonl

TENTHS = Split(validation=0.1, test=0.1)
WAYS = [(1, 1 << 20), (1, 300), (2, 1 << 20), (2, 500), (4, 2000)]


def test_rows_become_a_folder_with_its_manifest(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", chats(3))
    manifest = build(chat_data(path), tmp_path / "out")
    assert sorted(contents(tmp_path / "out")) == [MANIFEST, "train.jsonl"]
    assert orjson.loads((tmp_path / "out" / MANIFEST).read_bytes()) == manifest
    assert validator("manifest").is_valid(manifest)
    assert manifest["splits"] == {"train": 3}
    assert [row["id"] for row in read_jsonl(tmp_path / "out" / "train.jsonl")] == ["a.jsonl:1", "a.jsonl:2", "a.jsonl:3"]


def test_the_manifest_has_the_hash_of_every_file(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", chats(50))
    manifest = build(chat_data(path, split=TENTHS), tmp_path / "out")
    for name, facts in manifest["files"].items():
        content = (tmp_path / "out" / name).read_bytes()
        assert facts == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    source = manifest["sources"][0]["files"][0]
    assert source == {
        "name": "a.jsonl",
        "format": "jsonl",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
    }


def test_written_records_are_valid_and_round_trip(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", chats(20))
    build(chat_data(path), tmp_path / "one")
    build(chat_data(tmp_path / "one" / "train.jsonl"), tmp_path / "two")
    first, second = (read_jsonl(tmp_path / name / "train.jsonl") for name in ("one", "two"))
    assert [row["messages"] for row in first] == [row["messages"] for row in second]
    assert all(validator("chat").is_valid(row) for row in first + second)


@pytest.mark.parametrize("split", [Split(0, 0), TENTHS, Split(0.1, 0.1, group_by=("tree",), stratify_by="topic")])
def test_every_execution_mode_gives_the_same_bytes(tmp_path, split):
    rows = [row | {"tree": n // 3, "topic": "ab"[n % 2]} for n, row in enumerate(chats(400))]
    first = write_jsonl(tmp_path / "a.jsonl", [*rows, *rows[::7], b"broken\n", b"\n", b"{}\n", *chats(5, 900)])
    second = tmp_path / "b.json"
    second.write_text(json.dumps(rows[50:150] + chats(200, 2000)))
    options = {"keep_meta": ["tree", "topic"]}
    data = Data("chat", tuple(Source(str(path), "messages", options) for path in (first, second)), split=split, max_dropped=0.1)
    data = data._replace(sources=(data.sources[0]._replace(weight=1.5), data.sources[1]))
    found = []
    for number, (processes, batch_bytes) in enumerate(WAYS):
        manifest = build(data, tmp_path / f"out{number}", processes=processes, batch_bytes=batch_bytes)
        assert manifest["rows_read"] == manifest["rows_in"] == manifest["rows_kept"] + sum(manifest["dropped"].values())
        found.append(contents(tmp_path / f"out{number}"))
    assert all(other == found[0] for other in found)


def test_a_second_run_gives_the_same_bytes(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", chats(100))
    build(chat_data(path, split=TENTHS), tmp_path / "out")
    before = contents(tmp_path / "out")
    build(chat_data(path, split=TENTHS), tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_hash_seed_locale_and_folder_change_nothing(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [row | {"tree": n // 2} for n, row in enumerate(chats(100))])
    code = """
import sys
from pathlib import Path
from recipekit.converters.building.pipeline import build
from recipekit.schemas.sections import Data, Source, Split
source = Source(sys.argv[1], "messages", {"keep_meta": ["tree"]})
build(Data("chat", (source,), split=Split(0.2, 0.2, group_by=("tree",))), Path(sys.argv[2]))
"""
    found = []
    for seed, zone, where in (("0", "UTC", "/"), ("1", "Asia/Tokyo", tmp_path), ("2", "America/Lima", "/tmp")):
        env = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"}
        subprocess.run([sys.executable, "-c", code, path, tmp_path / f"out{seed}"], check=True, cwd=where, env=env)
        found.append(contents(tmp_path / f"out{seed}"))
    assert found[0] == found[1] == found[2]


def test_no_split_leaves_every_row_in_training_in_order(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", chats(30))
    build(chat_data(path), tmp_path / "out")
    assert [row["meta"]["origin"]["line"] for row in read_jsonl(tmp_path / "out" / "train.jsonl")] == list(range(1, 31))


@pytest.mark.parametrize("split", [Split(0, 0), TENTHS])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([b"{}\n", b"{]\n"], "none of 2 rows is left: 1 invalid json, 1 no messages"),
        ([], "the sources have no rows"),
        ([b"\n"], "the sources have no rows"),
    ],
)
def test_an_empty_result_is_refused_and_keeps_the_old_folder(tmp_path, split, rows, message):
    path = write_jsonl(tmp_path / "a.jsonl", chats(3))
    build(chat_data(path), tmp_path / "out")
    before = contents(tmp_path / "out")
    write_jsonl(path, rows)
    with pytest.raises(UserError, match=message) as caught:
        build(chat_data(path, max_dropped=1, split=split), tmp_path / "out")
    assert type(caught.value) is UserError
    assert contents(tmp_path / "out") == before


def test_a_weight_that_leaves_no_row_is_reported(tmp_path):
    data = chat_data(write_jsonl(tmp_path / "a.jsonl", chats(1)))
    with pytest.raises(UserError, match="none of 1 row is left: 1 left out by the sources' weights"):
        build(data._replace(sources=(data.sources[0]._replace(weight=1e-9),)), tmp_path / "out")


@pytest.mark.parametrize(("system", "prompted", "notes"), [({}, 2, 0), ({"system": "Be long."}, 0, 1)])
def test_a_system_prompt_that_no_chat_needs_is_named(tmp_path, system, prompted, notes):
    path = write_jsonl(tmp_path / "a.jsonl", [chat("Who?", **system), chat("Why?", **system)])
    manifest = build(chat_data(path, system_prompt="Be brief."), tmp_path / "out")
    assert manifest["prompted"] == prompted and validator("manifest").is_valid(manifest)
    assert [note for note in source_notes(manifest) if "system_prompt" in note] == [
        "no row is given data.system_prompt: every chat has a system message of its own"
    ] * notes


def test_one_source_may_be_empty_and_one_split_may_be_all(tmp_path):
    data = chat_data(write_jsonl(tmp_path / "a.jsonl", []), write_jsonl(tmp_path / "b.jsonl", chats(2)))
    data = data._replace(sources=(data.sources[0], data.sources[1]._replace(split="test")))
    assert build(data, tmp_path / "out")["splits"] == {"test": 2}


def test_sources_keep_their_own_splits_weights_and_counts(tmp_path):
    first, second = write_jsonl(tmp_path / "a.jsonl", chats(10)), write_jsonl(tmp_path / "b.jsonl", chats(12, 5))
    data = chat_data(first, second)
    data = data._replace(sources=(data.sources[0]._replace(weight=3), data.sources[1]._replace(split="test")))
    manifest = build(data, tmp_path / "out")
    assert manifest["splits"] == {"test": 7, "train": 30}
    assert manifest["repeated"] == 20
    assert "left_out" not in manifest
    assert [(s["rows_read"], s["rows_kept"]) for s in manifest["sources"]] == [(10, 10), (12, 7)]
    assert {row["id"].partition("/")[0] for row in read_jsonl(tmp_path / "out" / "test.jsonl")} == {"1"}


def test_rows_that_a_weight_leaves_out_are_counted_although_others_are_repeated(tmp_path):
    first, second = write_jsonl(tmp_path / "a.jsonl", chats(40)), write_jsonl(tmp_path / "b.jsonl", chats(20, 100))
    data = chat_data(first, second)
    data = data._replace(sources=(data.sources[0]._replace(weight=0.5), data.sources[1]._replace(weight=2)))
    manifest = build(data, tmp_path / "out")
    rows = Counter(row["id"] for row in read_jsonl(tmp_path / "out" / "train.jsonl"))
    assert manifest["left_out"] == 60 - len(rows) > 0
    assert manifest["repeated"] == 20
    assert manifest["splits"]["train"] == 60 - manifest["left_out"] + 20


def test_a_fractional_weight_is_met_on_average(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", chats(1000))
    data = chat_data(path)
    manifest = build(data._replace(sources=(data.sources[0]._replace(weight=0.3),)), tmp_path / "out")
    assert 250 < manifest["splits"]["train"] < 350


def test_a_limit_reads_no_further(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", chats(10))
    data = chat_data(path)
    manifest = build(data._replace(sources=(data.sources[0]._replace(limit=4),)), tmp_path / "out", batch_bytes=100)
    assert manifest["rows_read"] == manifest["rows_kept"] == 4


def test_rows_on_one_line_have_ids_of_their_own(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(chats(7)))
    for batch_bytes in (1, 2048, 1 << 20):
        build(chat_data(path), tmp_path / "out", batch_bytes=batch_bytes)
        ids = [row["id"] for row in read_jsonl(tmp_path / "out" / "train.jsonl")]
        assert ids == ["a.json:1", *(f"a.json:1.{n}" for n in range(2, 8))]


def test_compressed_rows_are_the_same_rows(tmp_path):
    rows = write_jsonl(tmp_path / "a.jsonl", chats(20))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.jsonl").write_bytes(gzip.compress(rows.read_bytes()))
    build(chat_data(rows), tmp_path / "one")
    build(chat_data(tmp_path / "b" / "a.jsonl"), tmp_path / "two")
    assert (tmp_path / "one" / "train.jsonl").read_bytes() == (tmp_path / "two" / "train.jsonl").read_bytes()


def test_unusable_rows_stop_the_conversion_with_their_places(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [chat("q"), b"{]\n", {}])
    with pytest.raises(UserError) as caught:
        build(chat_data(path), tmp_path / "out")
    assert [str(problem.location) for problem in caught.value.problems] == ["a.jsonl:2", "a.jsonl:3", ""]
    assert "2 of 3 rows cannot be used" in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert type(caught.value) is UserError


def test_more_unusable_rows_than_allowed_are_a_gate(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [*chats(8), b"{]\n", {}])
    with pytest.raises(GateError):
        build(chat_data(path, max_dropped=0.1), tmp_path / "out")
    assert build(chat_data(path, max_dropped=0.2), tmp_path / "out")["dropped"] == {"invalid_json": 1, "no_messages": 1}


@pytest.mark.parametrize("name", ["notes.md", "validation.jsonl", "sub/y"])
def test_foreign_files_are_kept(tmp_path, name):
    path = write_jsonl(tmp_path / "a.jsonl", chats(5))
    build(chat_data(path), tmp_path / "out")
    mine = tmp_path / "out" / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(UserError, match=f"would delete: .*{name}"):
        build(chat_data(path, split=TENTHS), tmp_path / "out")
    assert mine.read_text() == "mine" and len(read_jsonl(tmp_path / "out" / "train.jsonl")) == 5


def test_a_folder_is_not_converted_onto_itself(tmp_path):
    build(chat_data(write_jsonl(tmp_path / "a.jsonl", chats(5))), tmp_path / "out")
    before = contents(tmp_path / "out")
    for source in (tmp_path / "out" / "train.jsonl", tmp_path / "out"):
        with pytest.raises(UserError, match=r"train\.jsonl: is an input|manifest\.json: is an input"):
            build(chat_data(source, max_dropped=1), tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_a_refused_conversion_leaves_the_old_folder_as_it_was(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", chats(5))
    build(chat_data(path), tmp_path / "out")
    before = contents(tmp_path / "out")
    write_jsonl(path, [*chats(50), b"{]\n"])
    with pytest.raises(UserError):
        build(chat_data(path, split=TENTHS), tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jsonl", "out"]


def test_the_same_row_in_two_fixed_splits_is_a_leak(tmp_path):
    first, second = write_jsonl(tmp_path / "a.jsonl", chats(5)), write_jsonl(tmp_path / "b.jsonl", chats(5, 4))
    data = chat_data(first, second, dedup="none")
    data = data._replace(sources=(data.sources[0]._replace(split="train"), data.sources[1]._replace(split="test")))
    with pytest.raises(GateError, match=r"the same conversation is in train \(0/a.jsonl:5\) and test \(1/b.jsonl:1\)"):
        build(data, tmp_path / "out")
    assert build(data._replace(check_leaks="none"), tmp_path / "out")["splits"] == {"test": 5, "train": 5}


def test_a_group_in_two_fixed_splits_is_a_leak(tmp_path):
    first = write_jsonl(tmp_path / "a.jsonl", [chat("a", tree=1), chat("b", tree=2)])
    second = write_jsonl(tmp_path / "b.jsonl", [chat("c", tree=2)])
    sources = [Source(str(path), "messages", {"keep_meta": ["tree"]}, split=split) for path, split in ((first, "train"), (second, "test"))]
    data = Data("chat", tuple(sources), split=Split(0, 0, group_by=("tree",)))
    with pytest.raises(GateError, match="the same group is in train"):
        build(data, tmp_path / "out")


@pytest.mark.parametrize("other", [{"system": "Be long."}, {"meta": {"from": "b"}, "system": "Be brief."}])
def test_a_conversation_is_the_same_whatever_its_system_prompt(tmp_path, other):
    first, second = (
        write_jsonl(tmp_path / "a.jsonl", chats(5)),
        write_jsonl(tmp_path / "b.jsonl", [chat("What is 4 plus one?", "5", **other)]),
    )
    data = chat_data(first, second)
    data = data._replace(sources=(data.sources[0]._replace(split="train"), data.sources[1]._replace(split="test")))
    with pytest.raises(GateError, match=r"the same conversation is in train \(0/a.jsonl:5\) and test \(1/b.jsonl:1\)"):
        build(data, tmp_path / "out")


def test_a_text_is_the_same_whatever_its_label(tmp_path):
    for name, label in (("a.csv", "joy"), ("b.csv", "anger")):
        (tmp_path / name).write_text(f"text,label\nwhat a day,{label}\nanother {name},{label}\n")
    sources = [Source(str(tmp_path / name), "table", split=split) for name, split in (("a.csv", "train"), ("b.csv", "test"))]
    data = Data("classification", tuple(sources), split=Split(0, 0))
    with pytest.raises(GateError, match=r"the same text is in train \(0/a.csv:2\) and test \(1/b.csv:2\)"):
        build(data, tmp_path / "out")


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["", "Be brief.", "Be long."])), min_size=8, max_size=40))
def test_rows_of_one_conversation_are_in_one_split(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("rows")
    path = write_jsonl(folder / "a.jsonl", [chat(question, **({"system": system} if system else {})) for question, system in rows])
    build(chat_data(path, split=Split(0.3, 0.2)), folder / "out")
    places: dict[str, set[str]] = {}
    for split in (folder / "out").glob("*.jsonl"):
        for row in read_jsonl(split):
            places.setdefault(row["messages"][-2]["content"], set()).add(split.stem)
    assert {len(found) for found in places.values()} == {1}


def test_rows_of_a_split_that_are_dropped_as_duplicates_of_another_split_are_counted(tmp_path):
    first, second = write_jsonl(tmp_path / "a.jsonl", chats(10)), write_jsonl(tmp_path / "b.jsonl", [*chats(4, 7), *chats(4, 7)])
    data = chat_data(first, second)
    data = data._replace(sources=(data.sources[0]._replace(split="train"), data.sources[1]._replace(split="test")))
    manifest = build(data, tmp_path / "out")
    assert manifest["splits"] == {"test": 1, "train": 10}
    assert manifest["leaks"]["removed"] == {"test": 6}
    assert "6 test rows dropped as duplicates of rows in another split" in leaks_line(manifest)


def test_held_out_rows_that_are_dropped_as_near_duplicates_are_named_with_their_split(tmp_path):
    pytest.importorskip("rensa")
    others = [chat(hashlib.sha256(b"%d" % number).hexdigest()) for number in range(20)]
    first = write_jsonl(tmp_path / "a.jsonl", [chat(LONG), chat(LONG + "!"), *others[:10]])
    second = write_jsonl(tmp_path / "b.jsonl", [chat(LONG.replace("lazy", "very lazy")), chat(LONG + "?"), *others[10:]])
    data = chat_data(first, second, dedup="near")
    data = data._replace(sources=(data.sources[0]._replace(split="train"), data.sources[1]._replace(split="test")))
    manifest = build(data, tmp_path / "out")
    assert manifest["dropped"] == {"near_duplicate": 3} and manifest["splits"] == {"test": 10, "train": 11}
    assert manifest["leaks"]["removed_near"] == {"test": 2}
    assert "2 test rows dropped as near-duplicates of earlier rows" in leaks_line(manifest)
    assert read_manifest(tmp_path / "out")["leaks"] == manifest["leaks"]


def mbti(path, rows):
    path.write_text("type,posts\n" + "".join(f'{label},"{text}"\n' for text, label in rows))
    return Data("classification", (Source(str(path), "mbti"),), split=Split(0, 0))


def test_labels_come_from_the_rows_or_the_recipe(tmp_path):
    data = mbti(tmp_path / "a.csv", [("one two", "INFJ"), ("three four", "ENTP")])
    assert build(data, tmp_path / "out")["labels"] == ["ENTP", "INFJ"]
    ordered = data._replace(labels=("INFJ", "ENTP", "ISTP"))
    found = build(ordered, tmp_path / "out")
    assert (found["labels"], found["absent_labels"]) == (["INFJ", "ENTP", "ISTP"], ["ISTP"])
    assert source_notes(found)[-1] == "labels that no row has: ISTP"
    with pytest.raises(UserError, match="labels that data.labels does not list: ENTP"):
        build(data._replace(labels=("INFJ", "ISTP")), tmp_path / "out")


LONG = "the quick brown fox jumps over the lazy dog while nobody at all is looking at what the two of them are doing there in the sun"


def test_near_duplicates_are_dropped_and_the_first_stays(tmp_path):
    pytest.importorskip("rensa")
    others = [chat(hashlib.sha256(b"%d" % number).hexdigest()) for number in range(20)]
    path = write_jsonl(tmp_path / "a.jsonl", [chat(LONG), *others, chat(LONG.replace("lazy", "very lazy")), chat(LONG + "!")])
    found = []
    for processes, batch_bytes in WAYS:
        manifest = build(chat_data(path, dedup="near", split=TENTHS), tmp_path / "out", processes=processes, batch_bytes=batch_bytes)
        assert manifest["dropped"] == {"near_duplicate": 2}
        assert manifest["rows_in"] == 23
        assert manifest["sources"][0]["rows_kept"] == manifest["rows_kept"] == 21
        found.append(contents(tmp_path / "out"))
    assert all(other == found[0] for other in found)
    assert b'a.jsonl:1"' in b"".join(found[0].values())
    assert sorted(found[0]) == [MANIFEST, "test.jsonl", "train.jsonl", "validation.jsonl"]


def test_near_duplicates_in_two_splits_are_a_leak(tmp_path):
    pytest.importorskip("rensa")
    first, second = write_jsonl(tmp_path / "a.jsonl", [chat(LONG)]), write_jsonl(tmp_path / "b.jsonl", [chat(LONG + "!")])
    data = chat_data(first, second, check_leaks="near")
    data = data._replace(sources=(data.sources[0], data.sources[1]._replace(split="test")))
    with pytest.raises(GateError, match="the same near-duplicate is in train"):
        build(data, tmp_path / "out")
    assert build(data._replace(check_leaks="exact"), tmp_path / "out")["splits"] == {"test": 1, "train": 1}
    assert build(data._replace(near_threshold=1), tmp_path / "out")["splits"] == {"test": 1, "train": 1}


def test_labels_of_removed_near_duplicates_are_removed(tmp_path):
    pytest.importorskip("rensa")
    data = mbti(tmp_path / "a.csv", [(LONG, "INFJ"), (LONG + "!", "ENTP"), ("some other words of little length", "ISTP")])
    assert build(data._replace(dedup="near"), tmp_path / "out")["labels"] == ["INFJ", "ISTP"]


def test_input_that_changes_while_it_is_read_publishes_nothing(tmp_path, monkeypatch):
    path = write_jsonl(tmp_path / "a.jsonl", chats(50))
    check = pipeline.check_budget

    def meanwhile(*arguments):
        with path.open("ab") as stream:
            stream.write(b"\n")
        check(*arguments)

    monkeypatch.setattr(pipeline, "check_budget", meanwhile)
    with pytest.raises(UserError, match="a.jsonl: changed while it was read"):
        build(chat_data(path), tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.jsonl"]


def test_the_real_file_gives_the_verified_counts(tmp_path, realdata):
    path = realdata / "emogpt" / "augmentedv1.jsonl"
    manifest = build(Data("chat", (Source(str(path), "emogpt"),), split=Split(0, 0)), tmp_path / "out", processes=2, batch_bytes=50_000)
    assert (manifest["rows_in"], manifest["rows_kept"]) == (500, 496)
    assert manifest["dropped"] == {"not_augmented": 3, "duplicate": 1}


ROWS = st.lists(
    st.one_of(
        st.builds(chat, st.sampled_from("abcdefgh"), tree=st.integers(0, 5)),
        st.sampled_from([b"{]\n", b"\n", b'{"messages": []}\n', b"\xff\n"]),
    ),
    max_size=30,
)


@settings(max_examples=40)
@given(ROWS, st.sampled_from([Split(0, 0), Split(0.3, 0.2), Split(0.3, 0.3, group_by=("tree",))]), st.integers(1, 400))
def test_row_counts_add_up_and_splits_are_disjoint(tmp_path_factory, rows, split, batch_bytes):
    folder = tmp_path_factory.mktemp("property")
    path = write_jsonl(folder / "a.jsonl", [chat("first", tree=9), *rows])
    data = Data("chat", (Source(str(path), "messages", {"keep_meta": ["tree"]}),), split=split, max_dropped=1)
    manifest = build(data, folder / "out", batch_bytes=batch_bytes)
    assert manifest["rows_in"] == manifest["rows_read"] == manifest["rows_kept"] + sum(manifest["dropped"].values())
    assert manifest["rows_read"] == 1 + sum(row != b"\n" for row in rows)
    assert manifest["rows_kept"] == sum(manifest["splits"].values())
    written = {name: read_jsonl(folder / "out" / f"{name}.jsonl") for name in manifest["splits"]}
    assert {name: len(found) for name, found in written.items()} == manifest["splits"]
    questions = {name: {row["messages"][0]["content"] for row in found} for name, found in written.items()}
    assert sum(map(len, questions.values())) == len(set().union(*questions.values())) == manifest["rows_kept"]
    if split.group_by:
        trees = {name: {row["meta"]["tree"] for row in found} for name, found in written.items()}
        assert sum(map(len, trees.values())) == len(set().union(*trees.values()))


@settings(max_examples=25)
@given(st.permutations(range(24)), st.sampled_from([Split(0.3, 0.2), Split(0.25, 0.25, group_by=("tree",), stratify_by="topic")]))
def test_the_split_of_a_row_does_not_depend_on_the_order_of_the_rows(tmp_path_factory, order, split):
    folder = tmp_path_factory.mktemp("order")
    rows = [row | {"tree": n // 2, "topic": "ab"[n % 3 == 0]} for n, row in enumerate(chats(24))]
    found = []
    for name, places in (("straight", range(24)), ("shuffled", order)):
        path = write_jsonl(folder / f"{name}.jsonl", [rows[place] for place in places])
        data = Data("chat", (Source(str(path), "messages", {"keep_meta": ["tree", "topic"]}),), split=split)
        manifest = build(data, folder / name)
        found.append({s: {row["messages"][0]["content"] for row in read_jsonl(folder / name / f"{s}.jsonl")} for s in manifest["splits"]})
    assert found[0] == found[1]


def test_posts_over_several_lines_are_the_same_for_every_way_of_working(tmp_path):
    rows = [("1. one\n2. two, and more", "INFJ"), ("a|||b", "ENTP"), ('she said ""no""', "ISTP")] * 200
    data = mbti(tmp_path / "a.csv", [(f"{n} {text}", label) for n, (text, label) in enumerate(rows)])
    found = []
    for processes, batch_bytes in WAYS:
        manifest = build(data, tmp_path / "out", processes=processes, batch_bytes=batch_bytes)
        assert manifest["rows_read"] == manifest["rows_in"] == manifest["rows_kept"] == 600
        found.append(contents(tmp_path / "out"))
    assert all(other == found[0] for other in found)


def test_rows_with_one_fault_are_one_problem_that_names_the_keys_that_are_there(tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", [{"question": str(number), "answer": "a"} for number in range(30)])
    with pytest.raises(UserError) as error:
        build(Data("chat", (Source(str(path), "alpaca"),), split=Split(0, 0)), tmp_path / "out")
    fault, summary = error.value.problems
    assert "the row has answer, question (also in lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 19 more)" in fault.what
    assert summary.what == "30 of 30 rows cannot be used" and "set the converter's key options" in (summary.hint or "")


def test_unusable_rows_of_one_line_are_named_by_their_number(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([chat("q"), {"question": "a"}, chat("r"), {"question": "b"}]), encoding="utf-8")
    with pytest.raises(UserError) as error:
        build(Data("chat", (Source(str(path), "messages"),), split=Split(0, 0)), tmp_path / "out")
    fault = error.value.problems[0]
    assert (fault.location.line, fault.what[:22]) == (1, "value 2 of this line: ")
    assert fault.what.endswith("(also in line 1.4)")


@pytest.mark.parametrize(("more", "kept"), [({"system": "Be brief."}, 2), ({}, 1)])
def test_rows_that_differ_in_their_system_prompt_are_not_duplicates(tmp_path, more, kept):
    path = write_jsonl(tmp_path / "rows.jsonl", [chat("q"), chat("q", **more)])
    manifest = build(chat_data(path), tmp_path / "out")
    assert (manifest["rows_kept"], manifest["dropped"].get("duplicate", 0)) == (kept, 2 - kept)


def test_unread_keys_and_artifacts_are_in_the_manifest(tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", [chat("Who is {{name}}?", id=1), chat("q", id=2, about={"mood": "calm"})])
    (source,) = build(chat_data(path), tmp_path / "out")["sources"]
    assert (source["unread_keys"], source["artifacts"]) == ({"id": 2, "about": 1}, {"{{name}}": 1})


@pytest.mark.parametrize("empty", [b"", b"\n\n", gzip.compress(b"", mtime=0)], ids=["nothing", "blank lines", "gzip"])
@pytest.mark.parametrize(
    ("converter", "rows"), [("text", b"It rained."), ("messages", orjson.dumps(chat("Hi?"))), ("babylm", b"word " * 20)]
)
def test_a_file_without_rows_is_named(tmp_path, converter, rows, empty):
    for name, content in {"a": rows, "b": empty, "c": rows + b"\n"}.items():
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(content)
    data = Data("chat" if converter == "messages" else "text", (Source(str(tmp_path / "in" / "*"), converter),), split=Split(0))
    assert [fact["format"].endswith(": no rows") for fact in build(data, tmp_path / "out")["sources"][0]["files"]] == [False, True, False]
