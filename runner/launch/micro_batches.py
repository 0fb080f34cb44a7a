"""Divide the rows of an optimizer step into micro-batches: with the least padding, or, without padding, of similar size. Pure."""

from heapq import heapreplace


def batch_sizes(lengths: list[int], count: int, cap: int) -> list[int]:
    """Return the sizes of at most `count` batches with the fewest tokens including padding, for rows in order of decreasing length.

    A batch has its longest row times its number of rows tokens, at most `cap`.
    """
    rows = len(lengths)
    least: list[dict[int, tuple[int, int]]] = [{0: (0, 0)}]  # after n batches: rows taken -> (tokens, rows taken before the last batch)
    for _ in range(min(count, rows)):
        found: dict[int, tuple[int, int]] = {}
        for start, (places, _) in least[-1].items():
            for end in range(start + 1, rows + 1):
                now = places + lengths[start] * (end - start)
                if now - places > cap:
                    break
                if end not in found or now < found[end][0]:
                    found[end] = (now, start)
        least.append(found)
    sizes, end = [], rows
    for found in reversed(least[1:]):
        start = found[end][1]
        sizes.append(end - start)
        end = start
    return sizes[::-1]


def balanced(rows: list[int], lengths: list[int], count: int) -> list[list[int]]:
    """Distribute rows, given from the longest down, over `count` batches: each goes to the batch with the fewest tokens (Graham 1969)."""
    batches: list[list[int]] = [[] for _ in range(count)]
    tokens = [(0, number) for number in range(count)]  # a heap
    for row in rows:
        held, number = tokens[0]
        heapreplace(tokens, (held + lengths[row], number))
        batches[number].append(row)
    return batches
