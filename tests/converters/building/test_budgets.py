"""A source gives whole rows up to its budget of words, the same rows for any order and any way of working."""

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from recipekit.converters.building.budgets import composition, count_words, over_budget
from recipekit.converters.building.pipeline import build
from recipekit.schemas.sections import Data, Source, Split

from ...support.chats import NO_SPLIT
from ...support.jsonl import read_jsonl, write_jsonl

WORDS = st.lists(st.sampled_from("one two three four five six seven".split()), min_size=1, max_size=9).map(" ".join)
TEXTS = st.lists(WORDS, min_size=1, max_size=30)
SPLITS = st.sampled_from([Split(0, 0), Split(0.3, 0.2)])
TEXT = {"text_key": "text"}


def text_data(*files, split=NO_SPLIT, dedup="exact", **keys):
    sources = tuple(Source(str(path), "table", TEXT, max_words=most, **keys) for path, most in files)
    return Data("text", sources, split=split, dedup=dedup)


def write_texts(path, texts):
    return write_jsonl(path, [{"text": text} for text in texts])


def written(folder):
    return [row["text"] for path in sorted(folder.glob("*.jsonl")) for row in read_jsonl(path)]


def words_in(texts):
    return sum(len(text.split()) for text in texts)


@settings(max_examples=20)
@given(TEXTS, TEXTS, st.integers(1, 60), st.integers(1, 400), SPLITS, st.sampled_from(["exact", "none"]))
def test_a_budget_is_never_exceeded_and_no_row_is_cut(tmp_path_factory, first, second, most, batch_bytes, split, dedup):
    folder = tmp_path_factory.mktemp("budget")
    a, b = write_texts(folder / "a.jsonl", first), write_texts(folder / "b.jsonl", [f"{text} more" for text in second])
    data = text_data((a, most), (b, None), split=split, dedup=dedup)
    manifest = build(data, folder / "out", batch_bytes=batch_bytes)
    assert build(data, folder / "again") == manifest, "any size of batches"
    texts = written(folder / "out")
    limited, free = [text for text in texts if text in first], [text for text in texts if text.endswith(" more")]
    assert len(limited) + len(free) == len(texts) == manifest["rows_kept"], "whole rows, each of a source"
    facts, other = manifest["sources"]
    assert (facts["words"], other["words"]) == (words_in(limited), words_in(free))
    assert facts["words"] <= most
    assert facts["over_budget"] == manifest["dropped"].get("over_budget", 0)
    assert manifest["rows_in"] == manifest["rows_kept"] + sum(manifest["dropped"].values())
    if facts["over_budget"]:
        left = sorted((text for text in set(first) if text not in limited), key=lambda text: len(text.split()))
        assert not left or facts["words"] + len(left[-1].split()) > most, "a row is left out only where the next one would exceed"


@settings(max_examples=12)
@given(st.lists(WORDS, min_size=2, max_size=30, unique=True), st.integers(1, 60), st.integers(1, 60), st.randoms(use_true_random=False))
def test_the_same_rows_are_taken_in_any_order_and_a_larger_budget_takes_them_too(tmp_path_factory, texts, one, two, draw):
    folder = tmp_path_factory.mktemp("budget")
    least, most = sorted((one, two))
    shuffled = draw.sample(texts, len(texts))
    found = []
    for name, order, budget in (("a", texts, least), ("b", shuffled, least), ("c", texts, most)):
        write_texts(folder / f"{name}.jsonl", [*order, "x"])
        free = write_texts(folder / "free.jsonl", ["never without a row"])
        build(text_data((folder / f"{name}.jsonl", budget), (free, None)), folder / name)
        found.append(set(written(folder / name)))
    assert found[0] == found[1] <= found[2]


def test_another_seed_takes_other_rows(tmp_path):
    path = write_texts(tmp_path / "a.jsonl", [f"row {n}" for n in range(100)])
    taken = []
    for seed in (1, 2):
        build(text_data((path, 40), split=Split(0, 0, seed)), tmp_path / str(seed))
        taken.append(set(written(tmp_path / str(seed))))
    assert len(taken[0]) == len(taken[1]) == 20
    assert taken[0] != taken[1]


def test_a_source_with_a_budget_has_its_share_of_the_validation_rows(tmp_path):
    """The lowest rows of one order would all be validation rows if the split took its rows in the same order."""
    a = write_texts(tmp_path / "a.jsonl", [f"a {n}" for n in range(4000)])
    b = write_texts(tmp_path / "b.jsonl", [f"b {n}" for n in range(400)])
    build(text_data((a, 800), (b, None), split=Split(0.25)), tmp_path / "out")
    held_out = [row["text"][0] for row in read_jsonl(tmp_path / "out" / "validation.jsonl")]
    assert len(held_out) == 200
    assert 70 <= held_out.count("a") <= 130


def test_near_duplicates_are_removed_before_the_budget_is_spent(tmp_path):
    long = " ".join(f"word{n}" for n in range(60))
    path = write_texts(tmp_path / "a.jsonl", [long, f"{long} again", *(f"row number {n} of many" for n in range(5))])
    manifest = build(text_data((path, 85), dedup="near"), tmp_path / "out")
    assert manifest["dropped"] == {"near_duplicate": 1}
    assert manifest["sources"][0]["words"] == 85


def test_leaks_between_near_rows_are_found_among_the_rows_that_are_left(tmp_path):
    path = write_texts(tmp_path / "a.jsonl", [f"{n} " * 20 for n in range(50)])
    data = text_data((path, 200), split=Split(0.5))._replace(check_leaks="near")
    manifest = build(data, tmp_path / "out")
    assert manifest["splits"] == {"train": 5, "validation": 5}


def test_labels_of_rows_over_the_budget_are_removed(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": f"row {n}", "label": f"label {n}"} for n in range(6)])
    source = Source(str(path), "table", {"text_key": "text", "label_key": "label"}, max_words=8)
    manifest = build(Data("classification", (source,), split=Split(0, 0)), tmp_path / "out")
    assert manifest["labels"] == sorted(row["label"] for row in read_jsonl(tmp_path / "out" / "train.jsonl"))
    assert len(manifest["labels"]) == 4


def test_words_of_a_chat_are_those_of_all_messages():
    messages = [{"role": "user", "content": "two words"}, {"role": "assistant", "content": "and\nthree more"}]
    assert count_words("chat", {"messages": messages}) == 5
    assert count_words("text", {"text": " a  b\u00a0c\n"}) == 3


def test_words_are_counted_only_where_a_source_has_a_budget(tmp_path):
    path = write_texts(tmp_path / "a.jsonl", ["one two"])
    manifest = build(text_data((path, None)), tmp_path / "out")
    assert "words" not in manifest["sources"][0]
    assert composition(manifest["sources"]) == []


def test_the_composition_says_what_each_source_gives_and_which_has_too_little(tmp_path):
    a = write_texts(tmp_path / "a.jsonl", [f"row {n} here" for n in range(10)])
    b = write_texts(tmp_path / "b.jsonl", ["only this"])
    manifest = build(text_data((a, 10), (b, 5000)), tmp_path / "out")
    assert composition(manifest["sources"]) == [
        "a.jsonl: 3 rows, 9 words (81.8 %); max_words 10: 7 rows dropped",
        "b.jsonl: 1 row, 2 words (18.2 %); max_words 5,000 not reached: the source has no more",
    ]
    assert orjson.loads((tmp_path / "out" / "manifest.json").read_bytes())["sources"][0]["max_words"] == 10


def test_the_composition_names_a_weight_because_it_counts_no_repeats(tmp_path):
    a, b = write_texts(tmp_path / "a.jsonl", ["one two", "three"]), write_texts(tmp_path / "b.jsonl", ["four"])
    data = text_data((a, 9), (b, None))
    data = data._replace(sources=(data.sources[0]._replace(weight=3), data.sources[1]))
    manifest = build(data, tmp_path / "out")
    assert words_in(written(tmp_path / "out")) == 3 * 3 + 1
    assert (
        composition(manifest["sources"])[0]
        == "a.jsonl: 2 rows, 3 words (75.0 %), before weight 3; max_words 9 not reached: the source has no more"
    )


def test_a_first_row_beyond_the_budget_takes_nothing_of_the_source():
    data = text_data(("a", 3))
    assert over_budget(data, [0, 0], [4, 5], bytes(32)) == b"\1\1"
