"""Rows are divided by seed, group and stratum, the same for any order of the rows."""

import random
import subprocess
import sys
from collections import Counter, defaultdict
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.building.row_hashes import WIDTH
from recipekit.converters.building.splits import FREE, Placed, assign_splits, find_groups, sorted_positions, split_name
from recipekit.schemas.sections import Split

TENTHS = Split(validation=0.1, test=0.1)


def key(value):
    return blake2b(str(value).encode(), digest_size=WIDTH).digest()


def placed(rows):
    """`rows` are (keys, stratum, fixed)."""
    names = sorted({stratum for _, stratum, _ in rows}) or [""]
    keys = b"".join(key(k) for keys, _, _ in rows for k in keys)
    owners = [number for number, (keys, _, _) in enumerate(rows) for _ in keys]
    strata = [names.index(stratum) for _, stratum, _ in rows]
    return Placed(keys, owners, bytes(fixed for _, _, fixed in rows), strata, names)


def singles(count, stratum="", fixed=FREE):
    return [([f"{stratum}{number}"], stratum, fixed) for number in range(count)]


def test_each_split_gets_its_share():
    counts = Counter(map(split_name, assign_splits(placed(singles(100)), TENTHS)))
    assert counts == {"train": 80, "validation": 10, "test": 10}


def test_without_split_shares_every_row_is_training():
    assert set(assign_splits(placed(singles(10)), Split(0, 0))) == {0}


def test_no_rows_make_no_splits():
    assert assign_splits(placed([]), TENTHS) == b""


def test_a_split_is_that_of_earlier_versions():
    """Else a test row of one version would be trained by the next, and their metrics could not be compared."""
    found = assign_splits(placed(singles(12, "a") + singles(12, "b")), Split(validation=0.2, test=0.2, seed=3))
    assert "".join(map(str, found)) == "120000002100020011200021"


def test_another_seed_divides_in_another_way():
    rows = placed(singles(100))
    assert assign_splits(rows, TENTHS) != assign_splits(rows, TENTHS._replace(seed=7))
    assert assign_splits(rows, TENTHS) == assign_splits(rows, TENTHS)


def test_rows_that_share_a_key_stay_together_even_through_others():
    rows = [(["a", "b"], "", FREE), (["c"], "", FREE), (["b", "c"], "", FREE), (["d"], "", FREE)]
    members, keys = find_groups(placed(rows))
    assert members[0] == members[1] == members[2] != members[3]
    assert len(keys) == 2 * WIDTH
    assert keys[members[0] * WIDTH :][:WIDTH] == min(map(key, "abc"))


def test_every_stratum_has_the_same_shares():
    rows = singles(200, "often") + singles(20, "rare")
    splits = assign_splits(placed(rows), TENTHS)
    counts = defaultdict(Counter)
    for (_, stratum, _), number in zip(rows, splits, strict=True):
        counts[stratum][split_name(number)] += 1
    assert counts["rare"] == {"train": 16, "validation": 2, "test": 2}
    assert counts["often"] == {"train": 160, "validation": 20, "test": 20}


def test_strata_of_few_rows_add_up_to_the_share():
    rows = [row for number in range(30) for row in singles(4, f"label {number:02}")]
    splits = assign_splits(placed(rows), TENTHS)
    assert Counter(map(split_name, splits)) == {"train": 96, "validation": 12, "test": 12}
    trained = {stratum for (_, stratum, _), number in zip(rows, splits, strict=True) if number == 0}
    assert len(trained) == 30


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.sampled_from([0.05, 0.1, 0.3]), st.sampled_from([0, 0.1, 0.4]))
def test_shares_are_met_whatever_the_strata(sizes, validation, test):
    rows = [row for number, size in enumerate(sizes) for row in singles(size, f"s{number}")]
    counts = Counter(map(split_name, assign_splits(placed(rows), Split(validation, test))))
    assert counts["test"] == round(len(rows) * test)
    assert abs(counts["validation"] - len(rows) * validation) < 1


def test_a_fixed_split_is_kept_and_its_group_follows():
    rows = [(["a"], "", 2), (["a", "b"], "", FREE), (["b"], "", FREE), (["c"], "", 0)]
    splits = assign_splits(placed(rows), Split(0, 0))
    assert [split_name(number) for number in splits] == ["test", "test", "test", "train"]


def test_fixed_rows_do_not_use_up_the_shares():
    rows = singles(50, "x", fixed=2) + singles(100, "y")
    free = assign_splits(placed(rows), TENTHS)[50:]
    assert Counter(map(split_name, free)) == {"train": 80, "validation": 10, "test": 10}


@pytest.mark.parametrize("count", [3, 20_001])
def test_positions_are_sorted_by_key_and_of_equal_keys_the_earlier_first(count):
    draw = random.Random(count)
    keys = b"".join(key(draw.randrange(count // 2 + 1)) for _ in range(count))
    expected = sorted(range(count), key=lambda n: (keys[n * WIDTH : n * WIDTH + WIDTH], n))
    assert list(sorted_positions(keys)) == expected


def test_the_order_is_the_same_without_numpy():
    code = """
import sys
from hashlib import blake2b
from recipekit.converters.building.splits import sorted_positions
keys = b"".join(blake2b(b"%d" % (n % 9000), digest_size=16).digest() for n in range(12_000))
found = list(sorted_positions(keys))
sys.modules["numpy"] = None
assert list(sorted_positions(keys)) == found
"""
    subprocess.run([sys.executable, "-c", code], check=True)


ROWS = st.lists(
    st.tuples(st.lists(st.integers(0, 25), min_size=1, max_size=3), st.sampled_from(["a", "b"]), st.sampled_from([FREE, FREE, FREE, 0, 2])),
    max_size=40,
)
SPLITS = st.builds(Split, st.sampled_from([0, 0.1, 0.3]), st.sampled_from([0, 0.2, 0.5]), st.integers(0, 5))


@given(ROWS, SPLITS)
def test_no_key_is_in_two_splits_unless_sources_fix_it_so(rows, split):
    splits = assign_splits(placed(rows), split)
    members, _ = find_groups(placed(rows))
    fixed = defaultdict(set)
    seen = defaultdict(set)
    for (_, _, wanted), group, number in zip(rows, members, splits, strict=True):
        seen[group].add(number)
        if wanted != FREE:
            fixed[group].add(wanted)
            assert number == wanted
    assert all(len(found) == 1 for group, found in seen.items() if len(fixed[group]) < 2)


@given(ROWS, SPLITS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(rows, split, draw):
    order = list(range(len(rows)))
    draw.shuffle(order)
    straight = assign_splits(placed(rows), split)
    shuffled = assign_splits(placed([rows[n] for n in order]), split)
    assert [straight[n] for n in order] == list(shuffled)


@given(ROWS)
def test_grouping_is_that_of_connected_components(rows):
    members, _ = find_groups(placed(rows))
    left = {number: set(keys) for number, (keys, _, _) in enumerate(rows)}
    for number, keys in left.items():
        component, grown = set(keys), True
        while grown:
            joined = {k for other in left.values() if other & component for k in other}
            grown = joined > component
            component |= joined
        assert all((members[other] == members[number]) == bool(found & component) for other, found in left.items())
