"""BabyLM: line rules, stories from pickles, and the labels' CSV."""

import csv
import pickle
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.building.pipeline import build
from recipekit.converters.reading.records import Drop, Record, Row
from recipekit.converters.sources.babylm import INPUT, chunks, clean_line, convert
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Data, Source, Split

TEN = "one two three four five six seven eight nine ten"
STORY = {"source": "aochildes.train", "text": "shall we go?", "emotion": "curiosity, neutral", "augmented_text": "Once upon a time."}


def one(value, **options) -> Record | Drop:
    (found,) = convert([Row(value, "f", 1)], **options)
    return found


# Lines.


@pytest.mark.parametrize(
    ("line", "cleaned"),
    [
        ("see .", "see."),
        ("well , what is it ?", "well, what is it?"),
        ("no   ;  yes :", "no;  yes:"),
        ("  both ends \n", "both ends"),
        ("two\tcolumns", "two columns"),
        ("two\nlines\r\nmore", "two lines more"),
        ("wait\t.", "wait."),
        ("a  b", "a  b"),
        ("it 's", "it 's"),
        ("\t\n", ""),
    ],
)
def test_a_line_is_cleaned_and_its_words_are_kept_apart(line, cleaned):
    assert clean_line(line) == cleaned


def line_processor(text: str) -> str:
    """The source's own rule, as it stands there."""
    return re.sub(r"\s+([.,!?;:])", r"\1", re.sub(r"[\t\n]", "", text)).strip()


@given(st.text(st.characters(exclude_characters="\t\r\n") | st.sampled_from(" .,!?;:")))
def test_a_line_without_tabs_is_cleaned_as_the_source_does(line):
    assert clean_line(line) == line_processor(line)


@pytest.mark.parametrize(
    ("line", "reason"), [(f"{TEN} eleven", None), (TEN, "too_short"), (f"{TEN} .", "too_short"), ("", "blank"), (" \t", "blank")]
)
def test_a_line_needs_more_than_ten_words(line, reason):
    found = one(line)
    assert (found.reason if isinstance(found, Drop) else None) == reason
    assert isinstance(found, Record) or found.filtered


def test_the_fewest_words_are_an_option_and_cleaning_is_counted():
    found = one("see .", min_words=1)
    assert found == Record(found.row, {"text": "see."}, {}, ("line_cleaned",))
    assert isinstance(record := one("see.", min_words=1), Record) and record.fixed == ()


# Stories.


def test_a_story_is_the_text_and_its_prompt_is_for_grouping():
    found = one({**STORY, "kwargs": {"temperature": 0.7}})
    assert isinstance(found, Record)
    assert found.fields == {"text": "Once upon a time."}
    assert found.meta == {
        "source": "aochildes.train", "emotion": ["curiosity", "neutral"], "source_text": "shall we go?", "generation": {"temperature": 0.7}
    }  # fmt: skip


def test_the_labels_of_a_storys_sentence_are_read():
    found = one({**STORY, "label_0": "curiosity", "score_0": 0.9, "label_1": "neutral", "score_1": 0.6})
    assert isinstance(found, Record) and found.meta["score"] == 0.9
    wrong = one({**STORY, "label_0": "curiosity"})
    assert isinstance(wrong, Drop) and wrong.reason == "bad_score"


def test_a_whole_file_becomes_records_of_so_many_words():
    whole = "\n\n".join(f"word{n}" for n in range(25))
    found = list(convert([Row({"source": "wiki", "text": None, "emotion": None, "augmented_text": whole}, "f", 1)], chunk_words=10))
    assert all(isinstance(record, Record) for record in found)
    records = [record for record in found if isinstance(record, Record)]
    assert [len(record.fields["text"].split()) for record in records] == [10, 10, 5]
    assert " ".join(record.fields["text"] for record in records).split() == whole.split()
    assert [record.meta for record in records] == [{"source": "wiki", "chunk": n} for n in (1, 2, 3)]
    assert records[0].fields["text"].startswith("word0\n\nword1")
    assert {record.fixed for record in records} == {("chunked",)}


@given(st.text(), st.integers(1, 5))
def test_chunks_lose_no_word_and_none_is_too_long(text, words):
    found = list(chunks(text, words))
    assert " ".join(found).split() == text.split()
    assert all(0 < len(chunk.split()) <= words for chunk in found)


@pytest.mark.parametrize("value", [{**STORY, "augmented_text": " "}, {**STORY, "augmented_text": None}, {"text": "a"}, 7, None])
def test_a_row_without_a_story_is_unusable(value):
    found = one(value)
    assert isinstance(found, Drop) and found.reason == "no_text" and not found.filtered


# The labels' CSV.


def labelled(top: str, score: object, second: float = 0.2, text: str = f"{TEN} eleven .") -> dict:
    return {"source": "bnc_spoken.train", "text": text, "label_0": top, "score_0": score, "label_1": "joy", "score_1": str(second)}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (labelled("surprise", "0.51"), None),
        (labelled("surprise", "0.5"), "low_score"),
        (labelled("neutral", "0.9"), "neutral"),
        (labelled("surprise", "0.9", text="see ."), "too_short"),
        (labelled("surprise", "high"), "bad_score"),
        (labelled("surprise", None), "bad_score"),
        (labelled("neutral", "0.1", second=0.9), None),
        ({"label_0": "joy", "score_0": "0.9"}, "no_text"),
        ({"label_0": "joy", "text": "a"}, "bad_score"),
    ],
)
def test_the_first_label_must_be_an_emotion_above_the_score(row, reason):
    found = one(row)
    assert (found.reason if isinstance(found, Drop) else None) == reason


def test_every_label_above_the_score_is_kept():
    found = one(labelled("surprise", "0.7", second=0.6))
    assert isinstance(found, Record)
    assert found.fields == {"text": f"{TEN} eleven."}
    assert (found.meta["emotion"], found.meta["score"]) == (["surprise", "joy"], 0.7)


def test_the_filter_is_an_option():
    assert isinstance(one(labelled("neutral", "0.9"), emotional_only=False), Record)
    assert isinstance(one(labelled("surprise", "0.3"), min_score=0.2), Record)


# Files.


@pytest.mark.parametrize(
    ("head", "reads"),
    [
        (b"do you want to look at that , please ?\n", "lines"),
        (b"{laughs} no\n", "lines"),
        (b"[door opens] hello\n", "lines"),
        (b"", "lines"),
        (b"source,text,label_0,score_0\n", "values"),
        (b'[{"augmented_text": "a"}]', "values"),
        (b'{"augmented_text": "a"}\n', "values"),
        (pickle.dumps([STORY]), "values"),
        (b"\0\1binary", "values"),
    ],
)
def test_files_are_distinguished_by_content(head, reads):
    assert INPUT(head) == reads


def converted(tmp_path, *paths, **options) -> dict:
    sources = tuple(Source(str(path), "babylm", options) for path in paths)
    return build(Data("text", sources, split=Split(0, 0)), tmp_path / "out")


def test_duplicate_texts_are_counted(tmp_path):
    (tmp_path / "a.train").write_text(f"{TEN} eleven .\n\n{TEN} eleven.\nshort line\n")
    manifest = converted(tmp_path, tmp_path / "a.train")
    assert (manifest["rows_in"], manifest["rows_kept"]) == (4, 1)
    assert manifest["dropped"] == {"blank": 1, "duplicate": 1, "too_short": 1}


def test_a_line_that_is_not_text_costs_that_line_only(tmp_path):
    (tmp_path / "a.train").write_bytes(f"{TEN} eleven\n".encode() + b"caf\xe9 " * 12 + f"\n{TEN} twelve\n".encode())
    with pytest.raises(UserError, match=r"a\.train:2: not utf8"):
        converted(tmp_path, tmp_path / "a.train")


def test_an_attack_in_a_pickle_stops_the_conversion_and_leaves_nothing(tmp_path):
    path = tmp_path / "rows.pkl"
    path.write_bytes(b"\x80\x02cposix\nsystem\n(X\x01\0\0\0xtR.")
    with pytest.raises(UserError, match=r"rows\.pkl: pickle: GLOBAL at byte 2 asks for 'posix\.system'"):
        converted(tmp_path, path)
    assert [found.name for found in tmp_path.iterdir()] == ["rows.pkl"]


def test_two_stories_of_one_text_are_in_one_split(tmp_path):
    rows = [{**STORY, "text": f"text {n % 40}", "augmented_text": f"Story {n}."} for n in range(80)]
    (tmp_path / "rows.pkl").write_bytes(pickle.dumps(rows))
    data = Data("text", (Source(str(tmp_path / "rows.pkl"), "babylm"),), split=Split(0.25, group_by=("source_text",)))
    assert build(data, tmp_path / "out")["splits"] == {"train": 60, "validation": 20}


# The project's own files.


def test_two_chunks_of_871_inputs_are_871_groups_of_two(tmp_path, realdata):
    manifest = converted(tmp_path, realdata / "babylm_alpaca/babylm_augment")
    assert (manifest["rows_read"], manifest["rows_kept"], manifest["dropped"]) == (2 * 871, 2 * 871, {})
    assert [file["format"] for file in manifest["sources"][0]["files"]] == ["pickle", "pickle"]
    rows = [line for line in (tmp_path / "out/train.jsonl").read_bytes().splitlines()]
    assert set(Counter(re.search(rb'"source_text":"((?:[^"\\]|\\.)*)"', row)[1] for row in rows).values()) == {2}  # pyright: ignore


@pytest.mark.parametrize(("name", "augmented", "records"), [("10M", 38, 33_100), ("13-7M", 57, 49_649)])
def test_the_corpus_logs_add_up_to_chunks_of_871_and_two_files(realdata, name, augmented, records):
    log = (realdata / f"babylm_alpaca/babylm_pretrain_corpus/babylm_emo_wiki_{name}.txt").read_text()
    counts = [int(line.rsplit(",", 1)[1]) for line in log.splitlines() if re.match(r"(augment|factual)-\d+,", line)]
    assert Counter(counts) == {871: augmented, 1: 2}
    assert sum(counts) == records == 871 * augmented + 2


def test_the_gridsearch_and_the_samples_are_read_in_full(tmp_path, realdata):
    folders = [realdata / "babylm_alpaca" / name for name in ("babylm_augment_samples", "babylm_augment_gridsearch")]
    manifest = converted(tmp_path, *folders)
    assert [source["rows_kept"] for source in manifest["sources"]] == [30, 32]


@pytest.mark.parametrize(("name", "labels", "rows"), [("babylm_7labels.csv", 7, 1000), ("babylm_28labels.first200rows.csv", 28, 200)])
def test_the_wide_tables_are_filtered_by_the_source_rules(tmp_path, realdata, name, labels, rows):
    path = realdata / "babylm_alpaca/history" / name
    with path.open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert (len(table), len(table[0])) == (rows, 2 + 2 * labels)
    emotional = [row for row in table if row["label_0"] != "neutral" and float(row["score_0"]) > 0.5]
    texts = [text for row in emotional if len((text := line_processor(row["text"])).split()) > 10]
    manifest = converted(tmp_path, path)
    assert manifest["rows_kept"] == len(set(texts)) > 0
    dropped = manifest["dropped"]
    assert dropped["neutral"] + dropped["low_score"] == rows - len(emotional)
    assert dropped["too_short"] == len(emotional) - len(texts)
    assert dropped.get("duplicate", 0) == len(texts) - len(set(texts))
