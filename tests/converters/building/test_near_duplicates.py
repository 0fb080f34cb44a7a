"""Texts that are nearly equal are found, and others are not."""

import random
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipekit.converters.building import near_duplicates
from recipekit.converters.building.near_duplicates import (
    PARTNERS,
    PERMUTATIONS,
    SHINGLE,
    WIDTH,
    NearPairs,
    _shingle_hashes,
    bands,
    compared_text,
    near_pairs,
    repeated_rows,
    signatures,
)

np = pytest.importorskip("numpy")
pytest.importorskip("rensa")


LETTERS = "etaoinshrdlucmfwypvbgkjxqz"


def sentence(draw, words=100):
    return " ".join("".join(draw.choices(LETTERS, k=draw.randrange(2, 9))) for _ in range(words))


def edited(text, share, draw):
    words = text.split(" ")
    for place in draw.sample(range(len(words)), round(share * len(words))):
        words[place] = sentence(draw, 1)
    return " ".join(words)


def pairs_of(tmp_path, texts, threshold=0.7):
    path = tmp_path / "signatures"
    path.write_bytes(signatures(texts))
    return list(near_pairs(path, threshold))


def shingles(text):
    return {text[at : at + SHINGLE] for at in range(len(text) - SHINGLE + 1)}


def test_planted_near_duplicates_are_found_and_nothing_else(tmp_path):
    draw = random.Random(1)
    texts = [sentence(draw) for _ in range(1000)]
    planted = [(n, 1000 + n) for n in range(300)]
    texts += [edited(texts[n], 0.03, draw) for n, _ in planted]
    assert pairs_of(tmp_path, texts) == planted


def test_capitals_make_no_difference():
    text = sentence(random.Random(3))
    assert signatures([text]) == signatures([text.upper()]) != signatures([text[::-1]])


def test_texts_below_the_threshold_are_left_alone(tmp_path):
    draw = random.Random(2)
    text = sentence(draw)
    other = edited(text, 0.4, draw)
    assert len(shingles(text) & shingles(other)) / len(shingles(text) | shingles(other)) < 0.6
    assert pairs_of(tmp_path, [text, other]) == []
    assert pairs_of(tmp_path, [text, other], threshold=0.3) == [(0, 1)]


def test_a_signature_estimates_the_jaccard_similarity():
    draw = random.Random(3)
    text = sentence(draw)
    for share in (0.0, 0.1, 0.3, 1.0):
        other = edited(text, share, draw)
        exact = len(shingles(text) & shingles(other)) / len(shingles(text) | shingles(other))
        first, second = np.frombuffer(signatures([text, other]), np.uint32).reshape(2, -1)
        assert abs((first == second).mean() - exact) < 0.15


@settings(max_examples=60)
@given(st.lists(st.text(max_size=12), max_size=8))
def test_every_text_has_its_own_shingles_whatever_is_next_to_it(texts):
    together = signatures(texts)
    alone = b"".join(signatures([text]) for text in texts)
    assert together == alone
    assert len(together) == WIDTH * len(texts)


@given(st.lists(st.text(max_size=12), min_size=1, max_size=8) | st.lists(st.text(min_size=4, max_size=9), min_size=1, max_size=8))
def test_equal_shingles_have_equal_hashes_and_others_do_not(texts):
    lengths = np.array([len(text) for text in texts], np.int64)
    hashes, counts = _shingle_hashes(np, "".join(texts), lengths)
    assert len(hashes) == sum(counts)
    of: dict[str, int] = {}
    for text, part in zip(texts, np.split(hashes, np.cumsum(counts)[:-1]), strict=True):
        shingles = [text[at : at + SHINGLE] for at in range(len(text) - SHINGLE + 1)]
        found = part.tolist()
        assert set(found[len(shingles) :]) <= {found[len(shingles) - 1] if shingles else None}, "the last one may come again"
        for shingle, value in zip(shingles, found, strict=False):
            assert of.setdefault(shingle, value) == value
    assert len(set(of.values())) == len(of)


def test_texts_too_short_to_compare_are_near_nothing(tmp_path):
    assert pairs_of(tmp_path, ["a", "a", "", "", "字"]) == []


def test_no_texts_have_no_pairs(tmp_path):
    assert pairs_of(tmp_path, []) == []


def test_lone_surrogates_are_compared_too(tmp_path):
    text = sentence(random.Random(4))
    assert pairs_of(tmp_path, [text + "\ud83d", text]) == [(0, 1)]


def test_many_copies_of_one_text_take_linear_time(tmp_path):
    """Each copy is compared with the first and a few others, so that a thousand of them do not give half a million pairs."""
    text = sentence(random.Random(5))
    pairs = pairs_of(tmp_path, [text] * 1000)
    assert len(pairs) < 20_000
    assert sum(repeated_rows(pairs, 1000)) == 999


def test_the_pairs_of_rows_that_are_all_alike_need_a_few_bytes_per_row(tmp_path):
    """Each copy differs in other words, so that every band groups the rows anew: without a limit there are 75 pairs per row."""
    draw = random.Random(7)
    text = sentence(draw, 60)
    path, rows = tmp_path / "signatures", 1500
    path.write_bytes(signatures([edited(text, 2 / 60, draw) for _ in range(rows)]))
    pairs = near_pairs(path, 0.7)
    assert 10 * rows < len(pairs) <= PARTNERS * rows and pairs.packed.nbytes == 8 * len(pairs)
    assert max(Counter(later for _, later in pairs).values()) == PARTNERS
    assert sum(repeated_rows(pairs, rows)) == rows - 1
    assert [*pairs] == sorted(pairs, key=lambda pair: pair[::-1])


def test_the_earliest_rows_are_the_partners_that_are_kept():
    found = np.empty(0, np.uint64)
    for start in (40, 0, 20):  # pairs of row 90 with 60 earlier ones, from three bands
        found = near_duplicates._merged(np, found, np.array([90 * 100 + row for row in range(start, start + 20)], np.uint64), 100)
    assert list(NearPairs(found, 100)) == [(row, 90) for row in range(PARTNERS)]


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
def test_a_pair_at_the_threshold_is_nearly_always_a_candidate(threshold):
    count, width = bands(threshold)
    assert count * width <= PERMUTATIONS
    assert 1 - (1 - threshold**width) ** count >= 0.995
    longer = PERMUTATIONS // (width + 1)
    assert width == 16 or 1 - (1 - threshold ** (width + 1)) ** longer < 0.995


def test_a_row_is_dropped_only_for_a_kept_row():
    assert list(repeated_rows([(0, 1), (1, 2)], 3)) == [0, 1, 0]
    assert list(repeated_rows([(0, 1), (1, 2), (0, 2)], 3)) == [0, 1, 1]
    assert list(repeated_rows([], 2)) == [0, 0]


def test_system_messages_and_labels_are_not_compared():
    messages = [{"role": role, "content": role} for role in ("system", "user", "assistant")]
    assert compared_text("chat", {"messages": messages}) == "user\nassistant"
    assert compared_text("classification", {"text": "t", "label": "x"}) == "t"


@pytest.mark.parametrize("library", ["numpy", "rensa"])
def test_a_missing_library_is_reported_with_how_to_get_it(library):
    code = f"""
import sys
sys.modules[{library!r}] = None
from recipekit.converters.building.near_duplicates import signatures
from recipekit.schemas.base.errors import UserError
try:
    signatures(["some text"])
except UserError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"near-duplicates need {library}" in result.stdout
    assert "pip install 'recipekit[data]'" in result.stdout


def test_the_comparisons_grow_with_the_rows_even_if_all_are_alike(tmp_path, monkeypatch):
    checked, compared = near_duplicates._checked, []
    monkeypatch.setattr(
        near_duplicates, "_checked", lambda np, table, pairs, *more: compared.append(len(pairs)) or checked(np, table, pairs, *more)
    )
    draw = random.Random(6)
    text = sentence(draw, 60)
    counts = []
    for rows in (200, 400):
        pairs_of(tmp_path, [f"{text} {number}" for number in range(rows)])
        counts.append(sum(compared))
        compared.clear()
    assert 200 < counts[0] < counts[1] < 2.3 * counts[0]
