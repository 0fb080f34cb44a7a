"""Krippendorff's alpha, by the example of his own paper (Computing Krippendorff's Alpha-Reliability, 2011) and by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.runner.evaluation.agreement import alpha, alpha_interval

# Four observers, twelve units, * for no rating.
OBSERVERS = ("1 2 3 3 2 1 4 1 2 * * *", "1 2 3 3 2 2 4 1 2 5 * 3", "* 3 3 3 2 3 4 2 2 5 1 *", "1 2 3 3 2 4 4 1 2 5 1 *")
UNITS = [[int(value) for value in unit if value != "*"] for unit in zip(*(line.split() for line in OBSERVERS), strict=True)]


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_the_published_example_gives_the_published_values(level, published):
    assert alpha(UNITS, level) == pytest.approx(published, abs=0.0006)


def test_two_raters_by_hand():
    # 0 and 1, ten units of two raters; four disagree (Krippendorff 2011, section A): 0.095
    first, second = "0100000000", "1110010100"
    assert alpha(list(zip(first, second, strict=True))) == pytest.approx(0.095, abs=0.0006)


def test_incomparable_ratings_have_no_agreement():
    assert alpha([]) is alpha([[1], [2]]) is alpha([["A", "A"], ["A", "A"]]) is None


def test_few_units_have_no_interval_and_many_one_around_alpha():
    assert alpha_interval(UNITS[:9]) is None
    low, high = alpha_interval(UNITS * 4)
    assert low < alpha(UNITS * 4) < high


@given(st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=4), min_size=1, max_size=12))
def test_alpha_is_at_most_one_and_is_one_only_where_all_agree(units):
    found = alpha(units)
    if found is not None:
        assert found <= 1 + 1e-12 and (abs(found - 1) < 1e-12) == all(len(set(unit)) == 1 for unit in units)
