"""Numbers and names that stream by are counted exactly where the memory for it is bounded."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.runner.inspection.distributions import Distribution, Tally


def filled(values):
    found = Distribution()
    for value in values:
        found.add(value)
    return found


@given(st.lists(st.integers(0, 9999), min_size=1, max_size=200))
def test_whole_numbers_under_ten_thousand_are_exact(values):
    facts = filled(values).as_json()
    assert (facts["count"], facts["sum"], facts["min"], facts["max"]) == (len(values), sum(values), min(values), max(values))
    assert facts["p50"] == statistics.median_low(values)
    assert facts["mean"] == pytest.approx(statistics.fmean(values), abs=1e-4)


@given(st.lists(st.floats(-1e9, 1e9, allow_nan=False), min_size=1, max_size=200))
def test_every_number_is_in_exactly_one_bin(values):
    bins = filled(values).bins()
    assert sum(count for _, _, count in bins) == len(values)
    assert len(bins) <= 42
    assert bins[-1][1] == max(values)


def test_a_bin_counts_the_values_between_its_edges():
    assert filled([1, 1, 2, 4, 4, 4]).bins() == [(1, 2, 2), (2, 3, 1), (3, 4, 0), (4, 4, 3)]


def test_values_above_the_99th_percentile_share_a_bin():
    bins = filled([*range(100)] * 10 + [100_000]).bins()
    assert bins[-1][1:] == (100_000, 1)
    assert all(stop - start < 10 for start, stop, _ in bins[:-1])


def test_large_numbers_are_rounded_to_four_digits():
    found = filled(range(10_000_000, 10_050_000))
    assert len(found.counts) < 100
    assert found.quantile(0.5) == pytest.approx(10_025_000, rel=1e-3)
    assert (found.least, found.greatest) == (10_000_000, 10_049_999)


def test_no_numbers_give_a_count_of_none():
    assert Distribution().as_json() == {"count": 0}
    assert Distribution().bins() == []


def test_nan_is_refused():
    with pytest.raises(ValueError, match="nan"):
        Distribution().add(float("nan"))


def test_names_are_counted_up_to_a_number_of_different_ones():
    tally = Tally(names=2)
    for name in "abacbd":
        tally.add(name)
    assert tally.top() == [("a", 2), ("b", 2)]
    assert tally.as_json() == {"counts": {"a": 2, "b": 2}, "different": 2, "and_more": True, "not_listed": 2}
    assert tally.total == 6


def test_a_long_name_is_cut():
    tally = Tally()
    tally.add("x" * 1000)
    ((name, _),) = tally.top()
    assert len(name) == 120
