"""Documents to blocks of at most sequence_len tokens. Every token is kept: what is too long is split, and nothing is padded away."""

from bisect import bisect_left, insort
from typing import Any, NamedTuple

from .labels import IGNORED


class Piece(NamedTuple):
    """A document, or a part of one. labels[0] is ignored: a piece's first token is only what the others are predicted from."""

    input_ids: list[int]
    labels: list[int]


def document_ids(text: str, tokenizer: Any) -> list[int]:
    """The text's tokens between the tokens that begin and end a document.

    The beginning is put where the tokenizer has one that it puts itself, or that is also its end (GPT-2's <|endoftext|>).
    """
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    if eos is None:
        raise SystemExit("the tokenizer has no token that ends a document")
    if bos is not None and (bos == eos or tokenizer("a")["input_ids"][:1] == [bos]):
        return [bos, *ids, eos]
    return [*ids, eos]


def pieces(ids: list[int], sequence_len: int) -> list[Piece]:
    """The document in parts of at most sequence_len tokens. A later part begins with the last token of the one before, as its context, so
    that every token but the document's first is trained exactly once."""
    starts = range(0, max(len(ids) - 1, 1), sequence_len - 1)
    parts = [ids[start : start + sequence_len] for start in starts]
    return [Piece(part, [IGNORED, *part[1:]]) for part in parts]


def pack(lengths: list[int], size: int) -> list[list[int]]:
    """Which pieces share a block of `size` tokens: the longest first, each into the fullest block with room (best fit decreasing).

    Returns indices into `lengths`, those of a block in rising order, blocks by their first index.
    """
    blocks: list[list[int]] = []
    rooms: list[tuple[int, int]] = []  # (room left, block), sorted
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        place = bisect_left(rooms, (lengths[index], -1))
        if place == len(rooms):
            blocks.append([])
            room, block = size, len(blocks) - 1
        else:
            room, block = rooms.pop(place)
        blocks[block].append(index)
        insort(rooms, (room - lengths[index], block))
    return sorted(sorted(block) for block in blocks)


def block_of(chosen: list[Piece]) -> dict[str, list[int]]:
    """The tensors of a block. Positions begin again at 0 with each piece: that is how attention knows them apart."""
    return {
        "input_ids": [token for piece in chosen for token in piece.input_ids],
        "labels": [label for piece in chosen for label in piece.labels],
        "position_ids": [position for piece in chosen for position in range(len(piece.input_ids))],
    }
