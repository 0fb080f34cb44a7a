"""Pack documents into blocks of at most sequence_len tokens. Every token is kept: long documents are split, and none is cut."""

from bisect import bisect_left, insort
from typing import Any, NamedTuple

from .labels import IGNORED


class Piece(NamedTuple):
    """A document, or a part of one. labels[0] is ignored: the first token only serves as context for the others."""

    input_ids: list[int]
    labels: list[int]


def document_ids(text: str, tokenizer: Any) -> list[int]:
    """Return the text's tokens between the tokens that begin and end a document.

    The first token is added if the tokenizer adds one itself, or if it is also the last one (GPT-2's <|endoftext|>). A text that has them
    already, written out by a chat template, keeps its own: there is never a second.
    """
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    if eos is None:
        raise SystemExit("the tokenizer has no token that ends a document")
    if bos is not None and ids[:1] != [bos] and (bos == eos or tokenizer("a")["input_ids"][:1] == [bos]):
        ids = [bos, *ids]
    return ids if ids[-1:] == [eos] else [*ids, eos]


def pieces(ids: list[int], sequence_len: int) -> list[Piece]:
    """Split the document into parts of at most sequence_len tokens. A later part starts with the last token of the one before as
    context, so that every token but the document's first is trained exactly once."""
    starts = range(0, max(len(ids) - 1, 1), sequence_len - 1)
    parts = [ids[start : start + sequence_len] for start in starts]
    return [Piece(part, [IGNORED, *part[1:]]) for part in parts]


def pack(lengths: list[int], size: int) -> list[list[int]]:
    """Choose which pieces share a block of `size` tokens: the longest first, each in the fullest block with room (best fit decreasing).

    Return indices into `lengths`, ascending within a block, with blocks in order of their first index.
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


def piece_of(row: dict[str, Any]) -> Piece:
    """A tokenised row as a piece. Its first token is predicted from nothing, alone or after another row."""
    return Piece(list(row["input_ids"]), [IGNORED, *row["labels"][1:]])


def block_of(chosen: list[Piece]) -> dict[str, list[int]]:
    """Return the tensors of a block. Positions restart at 0 with each piece: attention separates pieces by them."""
    return {
        "input_ids": [token for piece in chosen for token in piece.input_ids],
        "labels": [label for piece in chosen for label in piece.labels],
        "position_ids": [position for piece in chosen for position in range(len(piece.input_ids))],
    }
