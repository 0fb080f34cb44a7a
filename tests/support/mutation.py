"""Changes to JSON values: seeded random ones, and every other type in turn. RECIPEKIT_FUZZ multiplies how many mutants the tests try."""

import copy
import os
import random
from collections.abc import Iterator
from typing import Any

TIMES = int(os.environ.get("RECIPEKIT_FUZZ", "1"))  # 4 gives 20,000 mutants of each record type, 10 gives 50,000
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 1.0, 4.0, 1.5, 1e300, -0.0, 10**30, "", " ", "\u200b", "\u00a0", "\n", "\x85", "\x1c", "\ufeff", "x", "chat", "2e-4", "é", "😀",
    [], {}, [None], {"a": 1}, [[]], ["x", "x"], [1, True, 1.0], "user", "lora", "all-linear",
]  # fmt: skip


def places(value: Any, path: tuple = ()) -> list[tuple]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in items for place in places(inner, (*path, key)))]


def mutate(value: Any, rng: random.Random) -> Any:
    """The value after one to three changes: something replaced, removed, doubled, renamed or added anywhere."""
    value = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(places(value))
        if not path:
            continue
        parent = value
        for part in path[:-1]:
            parent = parent[part]
        kind, key = rng.randrange(5), path[-1]
        if kind == 0:
            del parent[key]
        elif kind == 1 and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[key]))
        elif kind == 2 and isinstance(parent, dict):
            parent[rng.choice(["x", "id", "train", "meta", str(key).upper(), f"{key}s"])] = parent.pop(key)
        elif kind == 3 and isinstance(parent, dict):
            parent[rng.choice(["extra", "train", "lora_r", "split", "options"])] = copy.deepcopy(rng.choice(ODD))
        else:
            parent[key] = copy.deepcopy(rng.choice(ODD))
    return value


OTHERS: tuple[Any, ...] = (None, 3, 2.5, "x", [], [3], {}, {"x": 3}, True, False)


def with_other_types(value: Any) -> Iterator[Any]:
    """The value with each of its parts in turn taken away, or replaced by one of every other type."""
    parts = list(value) if isinstance(value, dict) else range(min(len(value), 1)) if isinstance(value, list) else ()
    for part in parts:
        for other in OTHERS:
            if type(other) is not type(value[part]) or other != value[part]:
                changed = copy.deepcopy(value)
                changed[part] = other
                yield changed
        if isinstance(value, dict):
            yield {key: kept for key, kept in value.items() if key != part}
        for inner in with_other_types(value[part]):
            yield {**value, part: inner} if isinstance(value, dict) else [*value[:part], inner, *value[part + 1 :]]
