"""Repeated rows are found, whatever their number, and no other row is taken for one."""

import os
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.building.row_hashes import WIDTH, Digests

np = pytest.importorskip("numpy")


def digest(number):
    return number.to_bytes(WIDTH, "little")


def repeated_by_a_set(batches):
    seen, result = set(), []
    for batch in batches:
        found = []
        for position, item in enumerate(batch):
            if item in seen:
                found.append(position)
            seen.add(item)
        result.append(found)
    return result


@given(st.lists(st.lists(st.integers(0, 60), max_size=30), max_size=12), st.sampled_from([1, 8, 1 << 16]), st.sampled_from([1, 8, 64]))
def test_it_finds_what_a_set_finds(batches, many, bits):
    digests = Digests(many, bits)
    found = [digests.add(b"".join(map(digest, batch))) for batch in batches]
    assert found == repeated_by_a_set(batches)
    assert len(digests) == len({item for batch in batches for item in batch})


def test_digests_stay_in_the_order_of_the_rows():
    digests = Digests(many=2)
    digests.add(digest(5) + digest(3))
    digests.add(digest(3) + digest(9) + digest(5) + digest(1))
    assert bytes(digests.kept) == b"".join(map(digest, (5, 3, 9, 1)))


def test_rows_with_an_equal_hash_are_all_kept():
    """With a hash of 8 bits every table slot is contested; the whole digest decides."""
    draw = random.Random(3)
    numbers = [draw.getrandbits(127) for _ in range(4000)]
    digests = Digests(many=100, bits=8)
    for start in range(0, len(numbers), 500):
        assert digests.add(b"".join(map(digest, numbers[start : start + 500]))) == []
    assert digests.table is not None
    assert digests.add(b"".join(map(digest, numbers[:500]))) == list(range(500))
    assert len(digests) == 4000


def test_digests_whose_first_half_is_equal_are_different_rows():
    digests = Digests(many=1)
    digests.add(digest(1) + digest(2))
    assert digests.add(digest(1 + (7 << 64)) + digest(1)) == [1]


def test_the_table_grows():
    digests = Digests(many=1000)
    numbers = list(range(300_000))
    for start in range(0, len(numbers), 50_000):
        digests.add(b"".join(map(digest, numbers[start : start + 50_000])))
    assert digests.add(digest(299_999) + digest(300_000) + digest(0)) == [0, 2]


def test_closing_frees_the_index_and_keeps_the_digests():
    digests = Digests(many=1)
    digests.add(digest(1) + digest(2))
    digests.close()
    assert digests.table is None
    assert len(digests) == 2


def test_without_numpy_a_set_is_used():
    code = """
import sys
sys.modules["numpy"] = None
from recipekit.converters.building.row_hashes import Digests
digests = Digests(many=10)
rows = b"".join(number.to_bytes(16, "little") for number in range(100))
assert digests.add(rows) == [] and digests.add(rows) == list(range(100)) and digests.table is None
assert digests.add(b"x" * 16) == []
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_million_rows_take_less_than_64_bytes_each():
    code = """
import os, resource
import numpy
from recipekit.converters.building.row_hashes import Digests
digests, rows = Digests(), 1_000_000
digests.add(os.urandom(16 * 70_000))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(rows // 1000):
    digests.add(os.urandom(16_000))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / rows)
"""
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ)
    assert float(result.stdout) < 64
