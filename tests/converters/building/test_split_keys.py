"""A key that no row has divides nothing: it is refused, with those that rows have."""

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Data, Source, Split

from ...support.chats import chat, chats
from ...support.jsonl import write_jsonl

SHARES = {"validation": 0.2, "test": 0}


def data(tmp_path, rows, split, fixed=None):
    path = write_jsonl(tmp_path / f"{fixed}.jsonl", rows)
    return Data("chat", (Source(str(path), "messages", {"keep_meta": ["tree", "topic"]}, split=fixed),), split=split)


def trees(count):
    return [row | {"tree": n // 2} for n, row in enumerate(chats(count))]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"group_by": ("tre",)}, r"data\.split\.group_by \(or --group-by\) names 'tre': no row has this key"),
        ({"group_by": ("tree", "nokey")}, "'nokey': no row has this key"),
        ({"group_by": ("",)}, "'': no row has this key"),
        ({"group_by": ("text",)}, "'text': no row has this key"),
        ({"stratify_by": "topik"}, r"data\.split\.stratify_by \(or --stratify-by\) names 'topik': no row has this key"),
        ({"stratify_by": "label"}, "'label': no row has this key"),
    ],
)
def test_a_key_that_no_row_has_is_refused_with_those_that_rows_have(tmp_path, split, message):
    with pytest.raises(UserError, match=message) as caught:
        build(data(tmp_path, trees(10), Split(**SHARES, **split)), tmp_path / "out")
    assert "rows have tree;" in caught.value.problems[0].hint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("keys", "end"), [(20, "k19"), (21, "k19 and 1 more")])
def test_of_many_keys_the_first_are_named(tmp_path, keys, end):
    names = [f"k{number:02}" for number in range(keys)]
    path = write_jsonl(tmp_path / "rows.jsonl", [row | dict.fromkeys(names, 1) for row in chats(10)])
    source = Source(str(path), "messages", {"keep_meta": names})
    with pytest.raises(UserError) as caught:
        build(Data("chat", (source,), split=Split(**SHARES, group_by=("tree",))), tmp_path / "out")
    assert f"{end}; the option" in caught.value.problems[0].hint


def test_rows_without_keys_are_reported(tmp_path):
    with pytest.raises(UserError) as caught:
        build(data(tmp_path, chats(10), Split(**SHARES, group_by=("tree",))), tmp_path / "out")
    assert "no row has a key for this; the option keep_meta of many converters" in caught.value.problems[0].hint


@pytest.mark.parametrize("split", [{"group_by": ("tree",)}, {"stratify_by": "tree"}])
def test_one_row_with_the_key_is_enough(tmp_path, split):
    build(data(tmp_path, [*chats(9), chat("last", tree=1)], Split(**SHARES, **split)), tmp_path / "out")


def test_without_splits_a_group_key_is_accepted(tmp_path):
    build(data(tmp_path, chats(10), Split(0, 0, group_by=("tree",), stratify_by="topic")), tmp_path / "out")


def test_fixed_splits_count_for_groups_but_not_for_strata(tmp_path):
    free, fixed = chats(10), [chat("first", tree=1, topic="a")]
    both = data(tmp_path, free, Split(**SHARES, group_by=("tree",)))
    both = both._replace(sources=(*both.sources, *data(tmp_path, fixed, Split(), "test").sources))
    build(both, tmp_path / "out")
    with pytest.raises(UserError, match="'topic': no row has this key"):
        build(both._replace(split=Split(**SHARES, stratify_by="topic")), tmp_path / "out")


def test_fixed_splits_ignore_strata(tmp_path):
    build(data(tmp_path, chats(10), Split(**SHARES, stratify_by="topic"), "train"), tmp_path / "out")


def test_labels_and_texts_of_the_records_are_enough(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("type,posts\n" + "".join(f'{"ENTP" if n % 2 else "INFJ"},"some words {n}"\n' for n in range(20)))
    split = Split(**SHARES, group_by=("text", "posts"), stratify_by="label")
    build(Data("classification", (Source(str(path), "mbti"),), split=split), tmp_path / "out")


def test_a_chats_own_label_in_meta_makes_strata(tmp_path):
    rows = [row | {"label": "ab"[n % 2]} for n, row in enumerate(chats(20))]
    source = Source(str(write_jsonl(tmp_path / "a.jsonl", rows)), "messages", {"keep_meta": ["label"]})
    build(Data("chat", (source,), split=Split(**SHARES, stratify_by="label")), tmp_path / "out")
    held_out = (tmp_path / "out" / "validation.jsonl").read_text().splitlines()
    assert sum('"label":"a"' in line for line in held_out) == sum('"label":"b"' in line for line in held_out) == 2


def test_a_key_of_another_files_rows_is_enough(tmp_path):
    """Lines of a corpus have no source_text, stories that were made from texts do; one recipe serves both."""
    path = tmp_path / "corpus.txt"
    path.write_text("".join(f"line {n} of a corpus has at least so many words , or it is dropped .\n" for n in range(20)))
    source = Source(str(path), "babylm")
    build(Data("text", (source,), split=Split(**SHARES, group_by=("source_text",))), tmp_path / "out")
    with pytest.raises(UserError, match="'source_txt': no row has this key"):
        build(Data("text", (source,), split=Split(**SHARES, group_by=("source_txt",))), tmp_path / "out")
