"""What is kept depends only on the order of the rows."""

from pathlib import Path

import orjson
import pytest
from recipekit.converters.building.conversion import Batch, Spec, convert_batch
from recipekit.converters.building.pipeline import build
from recipekit.converters.building.row_store import RowStore, needs_second_pass, write_except
from recipekit.converters.building.splits import FREE
from recipekit.schemas.base.files import NewFile
from recipekit.schemas.sections import Data, Source, Split
from recipekit.schemas.validation import validator

from ...support.chats import NO_SPLIT, chat, chat_data
from ...support.jsonl import write_jsonl

CHATS = Spec("chat", "messages", {})


def batch(*rows, first=1, spec=CHATS):
    return convert_batch(spec, Batch("a", first, b"".join(orjson.dumps(row) + b"\n" for row in rows)))


def kept_ids(kept):
    kept.close()
    return [orjson.loads(line)["id"] for line in kept.file.path.read_bytes().splitlines()]


def test_repeated_rows_are_left_out_within_and_between_batches(tmp_path):
    with RowStore(chat_data(tmp_path), tmp_path / "rows") as kept:
        kept.add(batch(chat("a"), chat("b"), chat("a")), 0)
        kept.add(batch(chat("b"), chat("c"), chat("c"), chat("d"), first=4), 0)
        assert kept_ids(kept) == ["a:1", "a:2", "a:5", "a:7"]
    assert kept.ledger.dropped == {"duplicate": 3}
    assert kept.ledger.rows_in == kept.ledger.read == 7
    assert kept.rows_kept[0] == 4


def test_repeated_rows_stay_where_the_recipe_wants_them(tmp_path):
    with RowStore(chat_data(tmp_path, dedup="none"), tmp_path / "rows") as kept:
        kept.add(batch(chat("a"), chat("a")), 0)
        assert kept_ids(kept) == ["a:1", "a:2"]
    assert not kept.ledger.dropped


def test_repaired_rows_are_counted_once_if_kept(tmp_path):
    found = batch(chat("a"), chat("a"), chat("b"))
    found.fixed.update({0: ("trimmed",), 1: ("trimmed",), 2: ("trimmed", "unquoted")})
    with RowStore(chat_data(tmp_path), tmp_path / "rows") as kept:
        kept.add(found, 0)
    assert kept.ledger.fixed == {"trimmed": 2, "unquoted": 1}


def test_split_keys_are_stored_in_columns(tmp_path):
    split = Split(0.1, 0.1, group_by=("tree",), stratify_by="topic")
    data = chat_data(tmp_path, tmp_path, split=split)
    data = data._replace(sources=(data.sources[0], data.sources[1]._replace(split="test")))
    spec = CHATS._replace(options={"keep_meta": ["tree", "topic"]}, group_by=("tree",), stratify_by="topic", has_splits=True)
    with RowStore(data, tmp_path / "rows") as kept:
        kept.add(batch(chat("a", tree=1, topic="x"), chat("b", tree=[1, 2], topic="y"), spec=spec), 0)
        kept.add(batch(chat("a", tree=1, topic="x"), chat("c", topic="x"), spec=spec), 1)
        placed = kept.placed()
    assert kept.named == {0: {"tree", "topic"}, 1: {"tree", "topic"}}
    assert list(placed.owners) == [0, 1, 2, 0, 1, 1]
    assert placed.keys[48:64] == placed.keys[64:80]
    assert list(placed.fixed) == [FREE, FREE, 2]
    assert [placed.names[n] for n in placed.strata] == ["x", "y", "x"]


def test_without_group_keys_a_row_is_its_own_group(tmp_path):
    with RowStore(chat_data(tmp_path, split=Split(0.1)), tmp_path / "rows") as kept:
        kept.add(batch(chat("a"), chat("b"), spec=CHATS._replace(has_splits=True)), 0)
        placed = kept.placed()
    assert placed.keys == kept.digests.kept
    assert list(placed.owners) == [0, 1]


def test_rows_can_be_taken_away_again(tmp_path):
    pytest.importorskip("rensa")
    split = Split(0.1, group_by=("tree",), stratify_by="topic")
    data = chat_data(tmp_path, split=split, dedup="near")
    spec = CHATS._replace(options={"keep_meta": ["tree", "topic"]}, group_by=("tree",), stratify_by="topic", near=True, has_splits=True)
    found = batch(*(chat(q, tree=[q, q + "2"], topic=q) for q in "abcd"), spec=spec)
    found.fixed.update({1: ("trimmed",), 2: ("trimmed",)})
    with RowStore(data, tmp_path / "rows") as kept:
        kept.add(found, 0)
        before = kept.placed()
        kept.drop([0, 1, 0, 0], "near_duplicate")
        placed = kept.placed()
    assert placed.keys == before.keys[:16] + before.keys[32:96] + before.keys[128:]
    assert list(placed.owners) == [0, 1, 2, 0, 0, 1, 1, 2, 2]
    assert [placed.names[n] for n in placed.strata] == ["a", "c", "d"]
    assert len(kept.digests) == 3
    assert kept.ledger.dropped == {"near_duplicate": 1}
    assert kept.ledger.fixed == {"trimmed": 1}
    assert kept.ledger.rows_in == 4
    assert kept.rows_kept[0] == 3


@pytest.mark.parametrize(
    ("change", "divided"),
    [
        ({}, False),
        ({"split": Split(0.1, 0)}, True),
        ({"split": Split(0, 0.1)}, True),
        ({"dedup": "near"}, True),
        ({"check_leaks": "near"}, True),
        ({"sources": (Source("p", "messages", weight=2),)}, True),
        ({"sources": (Source("p", "messages", split="train"),)}, True),
    ],
)
def test_rows_are_written_twice_only_where_they_must(change, divided):
    data = Data("chat", (Source("p", "messages"),), split=NO_SPLIT)._replace(**change)
    assert needs_second_pass(data) is divided


@pytest.mark.parametrize("skipped", [[], [0], [2], [1, 2], [0, 1, 2, 3], [0, 3]])
def test_skipped_parts_are_not_written(tmp_path, skipped):
    parts = [b"one", b"", b"three", b"4"]
    ends = [3, 3, 8, 9]
    file = NewFile(tmp_path / "a")
    write_except(file, b"".join(parts), ends, skipped)
    file.close()
    assert file.path.read_bytes() == b"".join(part for number, part in enumerate(parts) if number not in skipped)


QUOTED = 'Is {"role":"system","content":"x"} a message?'


def rows(folder: Path) -> Path:
    """Three chats with a system prompt, and two without, one of which speaks of one."""
    own = [chat(f"How long is {number}?", system="Be long.") for number in range(3)]
    return write_jsonl(folder / "rows.jsonl", [*own, chat("Who?"), chat(QUOTED)])


def test_training_rows_with_their_own_system_prompt_are_counted_by_their_first_message(tmp_path: Path) -> None:
    manifest = build(chat_data(rows(tmp_path)), tmp_path / "out")
    assert manifest["own_prompts"] == 3 and manifest["splits"] == {"train": 5}
    assert validator("manifest").is_valid(manifest)


def test_a_repeated_row_counts_as_often_as_it_is_trained(tmp_path: Path) -> None:
    data = chat_data(rows(tmp_path))
    manifest = build(data._replace(sources=(data.sources[0]._replace(weight=2),)), tmp_path / "out")
    assert (manifest["own_prompts"], manifest["splits"]) == (6, {"train": 10})


def test_nothing_is_counted_where_the_recipe_sets_a_prompt_or_no_row_has_one_or_none_is_trained(tmp_path: Path) -> None:
    path = rows(tmp_path)
    bare = write_jsonl(tmp_path / "bare.jsonl", [chat("Who?"), chat(QUOTED)])
    held_out = chat_data(bare)._replace(sources=(Source(str(path), "messages", split="test"),))
    for number, data in enumerate((chat_data(path, system_prompt="Be brief."), chat_data(bare), held_out)):
        assert "own_prompts" not in build(data, tmp_path / f"out-{number}")
