"""Documents to blocks: every token is kept and trained once, and no block is too long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.runner.worker.labels import IGNORED
from recipekit.runner.worker.packing import Piece, block_of, document_ids, pack, pieces

documents = st.lists(st.integers(5, 99), min_size=1, max_size=80)


class Characters:
    """A tokenizer of characters, with the beginnings and ends that real ones have."""

    def __init__(self, bos, eos, adds_bos=False):
        self.bos_token_id, self.eos_token_id, self.adds_bos = bos, eos, adds_bos

    def __call__(self, text, add_special_tokens=True):
        return {"input_ids": [*([self.bos_token_id] if self.adds_bos and add_special_tokens else []), *map(ord, text)]}


@pytest.mark.parametrize(
    ("tokenizer", "ids"),
    [
        (Characters(0, 0), [0, 97, 98, 0]),
        (Characters(1, 2, adds_bos=True), [1, 97, 98, 2]),
        (Characters(1, 2), [97, 98, 2]),
        (Characters(None, 2), [97, 98, 2]),
    ],
    ids=["GPT-2: one token for both", "Llama: begins by itself", "SmolLM2-Instruct: its beginning starts a turn", "Qwen: none"],
)
def test_a_document_begins_as_its_tokenizer_does_and_always_ends(tokenizer, ids):
    assert document_ids("ab", tokenizer) == ids


@pytest.mark.parametrize("tokenizer", [Characters(0, 0), Characters(1, 2, adds_bos=True)])
@pytest.mark.parametrize(("begins", "ends"), [(True, False), (False, True), (True, True)])
def test_a_text_that_has_its_first_and_last_token_gets_no_second(tokenizer, begins, ends):
    bos, eos = map(chr, (tokenizer.bos_token_id, tokenizer.eos_token_id))
    assert document_ids(f"{bos * begins}ab{eos * ends}", tokenizer) == document_ids("ab", tokenizer)


def test_a_tokenizer_without_an_end_is_refused():
    with pytest.raises(SystemExit, match="no token that ends a document"):
        document_ids("ab", Characters(None, None))


@given(documents, st.integers(2, 30))
def test_every_token_but_the_first_is_trained_exactly_once_and_in_order(ids, sequence_len):
    parts = pieces(ids, sequence_len)
    assert [label for part in parts for label in part.labels if label != IGNORED] == ids[1:]
    assert all(len(part.input_ids) <= sequence_len for part in parts)


@given(documents, st.integers(2, 30))
def test_a_label_is_its_own_token_and_only_the_first_has_none(ids, sequence_len):
    for part in pieces(ids, sequence_len):
        assert part.labels == [IGNORED, *part.input_ids[1:]]


def test_a_later_part_begins_with_the_last_token_of_the_one_before():
    assert [part.input_ids for part in pieces([1, 2, 3, 4, 5, 6], 3)] == [[1, 2, 3], [3, 4, 5], [5, 6]]


def test_a_document_that_just_fits_is_not_split():
    assert [part.input_ids for part in pieces([1, 2, 3], 3)] == [[1, 2, 3]]


@given(st.lists(st.integers(1, 20), max_size=60))
def test_every_piece_is_in_one_block_that_is_not_too_long(lengths):
    blocks = pack(lengths, 20)
    assert sorted(index for block in blocks for index in block) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in block) <= 20 for block in blocks)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=60))
def test_no_two_blocks_could_be_one(lengths):
    filled = sorted(sum(lengths[index] for index in block) for block in pack(lengths, 20))
    assert len(filled) < 2 or filled[0] + filled[1] > 20


@pytest.mark.parametrize(
    ("lengths", "blocks"),
    [([5, 5, 5, 5], [[0, 1], [2, 3]]), ([7, 3, 6, 4], [[0, 1], [2, 3]]), ([10, 1, 10], [[0], [1], [2]]), ([], [])],
    ids=["equal", "complements", "one left over", "nothing"],
)
def test_pieces_that_fill_a_block_together_share_it(lengths, blocks):
    assert pack(lengths, 10) == blocks


def test_the_positions_of_each_piece_begin_at_0():
    block = block_of([Piece([7, 8, 9], [IGNORED, 8, 9]), Piece([5, 6], [IGNORED, 6])])
    assert block == {"input_ids": [7, 8, 9, 5, 6], "labels": [IGNORED, 8, 9, IGNORED, 6], "position_ids": [0, 1, 2, 0, 1]}
