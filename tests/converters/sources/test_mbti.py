"""MBTI rows: labels, posts, masking and what keeps one person's rows together."""

import csv
from collections import Counter
from statistics import mean

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.converters.reading.records import Drop, Record, Row
from recipekit.converters.sources.mbti import INPUT, convert, split_posts
from recipekit.converters.sources.mbti_table import read_posts
from recipekit.schemas.sections import Data, Source, Split


def one(label="INFJ", posts="'first post|||second post'", **options) -> Record:
    (record,) = convert([Row({"type": label, "posts": posts}, "kaggle.csv", 2)], **options)
    assert isinstance(record, Record)
    return record


def text(posts: str, **options) -> str:
    return one(posts=posts, **options).fields["text"]


# Posts.


@pytest.mark.parametrize(
    ("posts", "expected", "changed"),
    [
        ("'a|||b'", ["a", "b"], ["apostrophes_removed"]),
        ("a|||b", ["a", "b"], []),
        ("'tis so|||b", ["'tis so", "b"], []),
        ("'a'", ["a"], ["apostrophes_removed"]),
        ("'a||||||b|||'", ["a", "b"], ["apostrophes_removed", "blank_posts_removed"]),
        ("'", ["'"], []),
        ("", [], []),
        ("' ||| '", [], ["apostrophes_removed"]),
        ("1. 'a\n2. b", ["a", "b"], ["apostrophes_removed"]),
        ("1. 'a\n2. b'", ["a", "b"], ["apostrophes_removed"]),
        ("1. a\n2. b'", ["a", "b'"], []),
        ("1. a\nstill a\n2. b", ["a\nstill a", "b"], []),
        ("1. a\n2. \n3. c", ["a", "c"], ["blank_posts_removed"]),
        ("1. a\n2.\n3. c", ["a", "c"], ["blank_posts_removed"]),
        ("1. a\n5. of a list\n2. b", ["a\n5. of a list", "b"], []),
        ("2. a\n3. b", ["2. a\n3. b"], []),
    ],
)
def test_a_row_is_split_into_posts(posts, expected, changed):
    assert split_posts(posts) == (expected, changed)


def test_the_numbered_form_is_the_default():
    assert text("'a|||b'") == "1. a\n2. b"
    assert text("'a|||b'", numbered=False) == "a\nb"


@pytest.mark.parametrize("count", [25, 50])
def test_the_first_posts_are_kept(count):
    posts = "|||".join(f"post {n}" for n in range(1, 67))
    assert text(posts, max_posts=count).split("\n")[-1] == f"{count}. post {count}"
    assert text(posts, max_posts=100).count("\n") == 65


def test_blank_posts_do_not_count_as_posts():
    assert text("'a||||||b|||c'", max_posts=2) == "1. a\n2. b"


def test_a_raw_row_and_its_numbered_form_give_the_same_text():
    raw = one(posts="'I know, right?|||Second: one|||third'", max_posts=2)
    numbered = one(posts="1. 'I know, right?\n2. Second: one")
    assert raw.fields == numbered.fields
    assert raw.meta["posts"] == numbered.meta["posts"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"type": "INFX", "posts": "a"}, "no_type"),
        ({"label": 3, "text": "a"}, "no_type"),
        ({"type": "INFJ"}, "no_posts"),
        ({"type": "INFJ", "posts": "' |||  '"}, "no_posts"),
        ([1], "no_type"),
        ({"type": "INFJ", "posts": None}, "no_posts"),
    ],
)
def test_an_unusable_row_is_dropped_by_reason(value, reason):
    (drop,) = convert([Row(value, "a.jsonl", 1)])
    assert isinstance(drop, Drop) and drop.reason == reason and not drop.filtered


# Labels.


@pytest.mark.parametrize(("dimension", "labels"), [("EI", "IE"), ("NS", "NS"), ("FT", "FT"), ("JP", "JP"), (None, ["INFJ", "ESTP"])])
def test_a_dimension_is_a_letters_position(dimension, labels):
    assert [one(label, dimension=dimension).fields["label"] for label in ("INFJ", "estp ")] == list(labels)


def test_the_whole_type_stays_in_meta():
    assert one(dimension="EI").meta["type"] == "INFJ"


# Masking.


@pytest.mark.parametrize(
    ("post", "masked"),
    [
        ("I am an INFJ.", "I am an [TYPE]."),
        ("INFJs and enfp's, two ISTJ’s", "[TYPE] and [TYPE], two [TYPE]"),
        ("eNtP/intj", "[TYPE]/[TYPE]"),
        ("typical INTPness, infjforum.com", "typical [TYPE], [TYPE].com"),
        ("INFJ_girl, 4w5INFP, #INTJ2", "[TYPE]_girl, 4w5[TYPE], #[TYPE]2"),
        ("#myINFJlife", "#my[TYPE]"),
        ("http://site.org/infj-forum/", "http://site.org/[TYPE]-forum/"),
        ("westpoint, centpiece, WESTPOINT", "westpoint, centpiece, WESTPOINT"),
        ("INFX, NT, INT", "INFX, NT, INT"),
    ],
)
def test_words_that_name_a_type_are_masked(post, masked):
    record = one(posts=post)
    assert record.fields["text"] == f"1. {masked}"
    assert ("type_masked" in record.fixed) == (post != masked)


def test_all_sixteen_types_are_masked_in_any_case():
    types = [a + b + c + d for a in "EI" for b in "NS" for c in "FT" for d in "JP"]
    for name in types:
        for word in (name, name.lower(), name.title(), f"{name}s", f"{name.lower()}s", f"{name}'s"):
            assert text(f"an {word} here") == "1. an [TYPE] here"


def test_the_mask_is_an_option():
    assert text("an INFJ", mask=False) == "1. an INFJ"
    assert text("an INFJ", mask_word=r"\1_") == r"1. an \1_"


# Who belongs together.


def test_posts_over_forty_characters_are_what_is_compared():
    long, short = "x" * 41, "y" * 40
    record = one(posts=f"'{long}|||{short}'")
    assert len(record.meta["posts"]) == 1
    assert record.meta["posts"] == one(posts=f"other|||{long} |||more").meta["posts"]


def test_an_author_is_one_group_in_every_file():
    assert one(posts="a|||b").meta["author"] == one("ENTP", "a|||b").meta["author"] != one(posts="a|||c").meta["author"]


def test_rows_that_share_a_long_post_are_never_split(tmp_path):
    shared = "this very same and long enough post was written in two rows"
    lines = [f"INFJ,\"'post {n} of somebody who writes at some length|||{shared if n % 10 == 0 else n}'\"" for n in range(100)]
    (tmp_path / "kaggle.csv").write_text("type,posts\n" + "\n".join(lines))
    source = Source(str(tmp_path / "kaggle.csv"), "mbti")
    manifest = build(Data("classification", (source,), split=Split(0.2, 0.2, group_by=("author", "posts"))), tmp_path / "out")
    files = {split: (tmp_path / f"out/{split}.jsonl").read_text() for split in ("train", "validation", "test")}
    assert manifest["rows_kept"] == 100 and manifest["rows_in"] == 100
    assert sorted(shared in found for found in files.values()) == [False, False, True]
    assert max(found.count(shared) for found in files.values()) == 10


# Files.


@pytest.mark.parametrize(
    ("head", "reads"),
    [
        (b"type,posts\n", read_posts),
        (b"<<<<<<< HEAD\n", read_posts),
        (b'{"text": "a", "label": "INFJ"}\n', "values"),
        (b"ARROW1\0\0", "values"),
    ],
)
def test_a_table_is_read_line_by_line_and_all_else_as_values(head, reads):
    assert INPUT(head) == reads


def test_crlf_and_byte_order_mark_leave_no_trace(tmp_path):
    (tmp_path / "kaggle.csv").write_bytes("\ufefftype,posts\r\nINFJ,\"'a|||b é'\"\r\n".encode())
    manifest = build(Data("classification", (Source(str(tmp_path / "kaggle.csv"), "mbti"),)), tmp_path / "out")
    assert (manifest["rows_kept"], manifest["dropped"], manifest["labels"]) == (1, {}, ["INFJ"])
    assert '"text":"1. a\\n2. b é"' in (tmp_path / "out/train.jsonl").read_text()


# The project's own results.


def converted(labels: list[str], dimension=None) -> list[str]:
    rows = [Row({"label": label, "text": "1. a"}, "test.arrow", n) for n, label in enumerate(labels, 1)]
    records = list(convert(rows, dimension=dimension))
    return [record.fields["label"] for record in records if isinstance(record, Record)]


@pytest.fixture(scope="module")
def golden(realdata):
    def column(name):
        with (realdata / "mbti/results" / name).open(newline="") as stream:
            return [row[0] for row in csv.reader(stream)][1:]

    return column("test_labels.csv"), column("previous_paper_test_prediction.csv")


def test_the_test_set_has_the_published_label_counts(golden):
    counts = Counter(converted(golden[0]))
    assert sum(counts.values()) == 868
    assert counts.most_common(4) == [("INFP", 174), ("INTP", 161), ("INFJ", 147), ("INTJ", 99)]
    assert sorted(counts)[0] == "ENFJ" and sorted(counts)[-1] == "ISTP" and len(counts) == 16


def test_the_previous_papers_predictions_score_as_published(golden):
    truth, guess = (converted(labels) for labels in golden)
    assert round(mean(t == g for t, g in zip(truth, guess, strict=True)), 3) == 0.294
    assert round(mean(f1(truth, guess, label) for label in set(truth) | set(guess)), 3) == 0.087


def test_the_four_dimensions_score_as_published(golden):
    scores = []
    for dimension, positive in [("EI", "I"), ("NS", "N"), ("FT", "F"), ("JP", "J")]:
        truth, guess = (converted(labels, dimension) for labels in golden)
        accuracy = mean(t == g for t, g in zip(truth, guess, strict=True))
        scores.append((accuracy, f1(truth, guess, positive), precision(truth, guess, positive), precision(guess, truth, positive)))
    # accuracy, F1, precision, recall
    assert [round(mean(column), 3) for column in zip(*scores, strict=True)] == [0.731, 0.632, 0.780, 0.655]


def precision(truth, guess, label) -> float:
    claimed = [t for t, g in zip(truth, guess, strict=True) if g == label]
    return claimed.count(label) / len(claimed) if claimed else 0


def f1(truth, guess, label) -> float:
    p, r = precision(truth, guess, label), precision(guess, truth, label)
    return 2 * p * r / (p + r) if p + r else 0
