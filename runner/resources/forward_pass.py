"""Count the tokens that a training's largest forward pass has, from the lengths of its rows. Pure.

Memory depends on them: padded rows all have the length of the longest, rows without padding follow each other in one sequence.
"""

import heapq
import math
import random
from typing import NamedTuple

from ...schemas.batch import Batch, batch_of
from ...schemas.sections import Recipe
from ..launch.kernel_choice import attention, packs
from ..launch.micro_batches import balanced

PADDED_TO = 64  # tokens: Axolotl pads the rows of a batch to a multiple of this; rows in one sequence have no padding at all
SHUFFLED = 100_000  # the random order of so many rows is simulated, in at most EPOCHS epochs
EPOCHS = 20


class ForwardPass(NamedTuple):
    """The size of the largest forward pass."""

    longest: int  # tokens of the longest row
    tokens: int  # of all rows together, with padding
    flat: bool = False  # whether the rows have no padding
    masked: bool = True  # whether attention has a mask
    most_trained: int | None = None  # how many tokens are trained at most, if that is known
    scored: bool = False  # whether attention is eager: it keeps a score for every pair of tokens

    @property
    def trained(self) -> int:
        """Return the tokens that are trained at most."""
        return self.tokens if self.most_trained is None else min(self.most_trained, self.tokens)

    @property
    def size(self) -> tuple[int, str]:
        """Return the number of tokens to show, and what has so many."""
        return (self.tokens, "forward pass") if self.flat else (self.longest, "row")


def largest_forward_pass(recipe: Recipe, lengths: list[int] | None, varlen: bool, trained: list[int] | None = None) -> ForwardPass:
    """Return the largest forward pass for rows of these lengths; without them, every row has `sequence_len` tokens.

    `varlen`: attention reads where rows end, so that rows need no padding and no mask. `trained` has the trained tokens of each row.
    """
    found, batch = _largest(recipe, lengths, varlen)._replace(scored=attention(recipe) == "eager"), batch_of(recipe)
    if trained is None:
        return found
    # A single process divides a step's rows as it likes: any of them may share a forward pass.
    rows = batch.micro_batch_size * (batch.gradient_accumulation_steps if batch.processes == 1 else 1)
    return found._replace(most_trained=sum(heapq.nlargest(rows, trained)))


def _largest(recipe: Recipe, lengths: list[int] | None, varlen: bool) -> ForwardPass:
    batch, longest = batch_of(recipe), recipe.training.sequence_len
    if packs(recipe) or not lengths:
        return ForwardPass(longest, batch.micro_batch_size * longest, masked=not varlen)
    rows = [min(longest, length) for length in lengths]
    if varlen:
        return ForwardPass(max(rows), _fullest(rows, batch), flat=True, masked=False)
    padded = min(longest, _padded(max(rows)))
    return ForwardPass(padded, batch.micro_batch_size * padded)


def _padded(tokens: int) -> int:
    return max(PADDED_TO, -(-tokens // PADDED_TO) * PADDED_TO)


def _fullest(lengths: list[int], batch: Batch) -> int:
    """Return the most tokens of a micro-batch in simulated epochs. A step of one process is divided evenly (worker/batches.py); several
    processes take rows in random order."""
    chance, most = random.Random(0), 0
    order = chance.sample(lengths, min(len(lengths), SHUFFLED))
    size = batch.micro_batch_size * (batch.gradient_accumulation_steps if batch.processes == 1 else 1)
    for _ in range(min(EPOCHS, SHUFFLED // len(order))):
        chance.shuffle(order)
        for start in range(0, len(order), size):
            rows = sorted(order[start : start + size], reverse=True)
            parts = balanced(list(range(len(rows))), rows, math.ceil(len(rows) / batch.micro_batch_size))
            most = max(most, *(sum(rows[row] for row in part) for part in parts))
    return most
