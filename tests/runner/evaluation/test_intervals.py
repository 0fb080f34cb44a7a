"""The bootstrap: its numbers by hand, and the coverage of its intervals, in seeded simulations."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies
from recipekit.runner.evaluation.intervals import LEAST_ROWS, bootstrap, difference, draw_resamples
from recipekit.runner.evaluation.metrics import LabelPrediction, Metric, Prediction, metric, percent, ratio

np = pytest.importorskip("numpy", reason="needs the extra [train]: numpy")


def measure(row_stats: Callable, aggregate: Callable = ratio) -> Metric:
    return Metric("mean", row_stats, aggregate, "", True, ("chat",), None, False, False)


MEAN = measure(lambda case: (case.nll, 1))
RATIO = measure(lambda case: (case.nll, case.target_tokens))


def cases(numerators, denominators=None):
    denominators = [1] * len(numerators) if denominators is None else denominators
    pairs = zip(numerators, denominators, strict=True)
    return [Prediction(str(i), "", "", True, 1, nll=float(n), target_tokens=int(d), correct=0) for i, (n, d) in enumerate(pairs)]


def test_every_resample_draws_as_many_rows_as_there_are():
    draws = draw_resamples(17, seed=3, count=100)
    assert draws.shape == (100, 17)
    assert (draws.sum(axis=1) == 17).all()


def test_resamples_are_seeded():
    assert (draw_resamples(9, 1) == draw_resamples(9, 1)).all()
    assert (draw_resamples(9, 1) != draw_resamples(9, 2)).any()


def test_the_value_is_the_ratio_of_sums_not_the_mean_of_ratios():
    found = bootstrap(RATIO, cases([1, 9], [1, 3]), draw_resamples(2), 0.95)
    assert found.value == 10 / 4


def test_rows_that_are_all_the_same_have_no_interval():
    """Resampling them shows nothing of rows that would differ."""
    found = bootstrap(MEAN, cases([2.1] * 30), draw_resamples(30), 0.95)
    assert found.value == pytest.approx(2.1) and math.isnan(found.low) and math.isnan(found.high)


@pytest.mark.parametrize("rows", [1, 2, LEAST_ROWS - 1])
def test_too_few_rows_have_no_interval(rows):
    """A single row whose mean is 1 least of all: only a metric that is always 0 or 1 is a proportion."""
    numbers = range(1, rows + 1)
    found = bootstrap(MEAN, cases(numbers), draw_resamples(rows), 0.95)
    assert found.value == (rows + 1) / 2 and math.isnan(found.low) and math.isnan(found.high)
    assert math.isfinite(bootstrap(MEAN, cases([*numbers] * LEAST_ROWS + [0]), draw_resamples(rows * LEAST_ROWS + 1), 0.95).low)


@given(strategies.sets(strategies.integers(0, 29), max_size=25), strategies.sets(strategies.integers(0, 29), max_size=25))
@settings(max_examples=40)
def test_models_may_be_unmeasured_on_different_rows(missing_before, missing_after):
    """A judge may have scored one model's reply to a row and not the other's."""
    before = cases([0 if n in missing_before else n % 7 + 1 for n in range(30)], [n not in missing_before for n in range(30)])
    after = cases([0 if n in missing_after else n % 5 + 1 for n in range(30)], [n not in missing_after for n in range(30)])
    found = difference(RATIO, before, after, draw_resamples(30), 0.95)
    means = [sum(c.nll for c in rows) / sum(c.target_tokens for c in rows) for rows in (before, after)]
    assert found.value == pytest.approx(means[1] - means[0])
    assert math.isnan(found.low) or found.low <= found.high


def labelled(rows, labels=3):
    return [LabelPrediction(str(i), i % labels, (i + (i % 5 == 0)) % labels, labels) for i in range(rows)]


def test_macro_f1_needs_five_rows_for_each_label():
    few, enough = labelled(14), labelled(15)
    assert math.isnan(bootstrap(metric("macro_f1"), few, draw_resamples(14), 0.95).low)
    assert math.isfinite(bootstrap(metric("macro_f1"), enough, draw_resamples(15), 0.95).low)


def test_the_interval_is_scipys():
    """scipy's BCa takes no expanded percentiles, which is asked of it here by another level."""
    stats = pytest.importorskip("scipy.stats", reason="needs the extra [eval]: scikit-learn")
    numbers = np.random.default_rng(1).lognormal(0, 1, 40)
    found = bootstrap(MEAN, cases(numbers), draw_resamples(40, count=20_000), 0.95)
    expanded = 1 - 2 * stats.norm.cdf((40 / 39) ** 0.5 * stats.t.ppf(0.025, 39))
    expected = stats.bootstrap((numbers,), np.mean, confidence_level=expanded, n_resamples=20_000, method="BCa", random_state=1)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval), rel=0.04)


@given(
    numbers=strategies.lists(strategies.floats(-1e6, 1e6), min_size=1, max_size=40),
    gains=strategies.lists(strategies.floats(-1e3, 1e3), min_size=40, max_size=40),
)
@settings(max_examples=60)
def test_no_significant_difference_has_0_in_its_interval(numbers, gains):
    count = len(numbers)
    after = [number + gain for number, gain in zip(numbers, gains, strict=False)]
    found = difference(MEAN, cases(numbers), cases(after), draw_resamples(count, count=200), 0.95)
    assert not (found.significant and found.low <= 0 <= found.high)
    assert not (found.significant and count < 6)


def test_more_confidence_gives_a_wider_interval():
    numbers = np.random.default_rng(0).normal(size=60)
    widths = [(found := bootstrap(MEAN, cases(numbers), draw_resamples(60), level)).high - found.low for level in (0.5, 0.8, 0.95, 0.99)]
    assert widths == sorted(widths)


def test_identical_rows_have_no_difference():
    rows = cases(np.random.default_rng(0).normal(size=40))
    assert difference(MEAN, rows, rows, draw_resamples(40), 0.95) == pytest.approx((0, math.nan, math.nan, 1, False), nan_ok=True)


def test_the_same_gain_on_every_row_is_certain_however_much_the_rows_differ():
    """Paired: what a row adds to both models cancels out."""
    before = np.random.default_rng(0).normal(scale=100, size=40)
    found = difference(MEAN, cases(before), cases(before + 1), draw_resamples(40), 0.95)
    assert (found.value, found.p_value, found.significant) == (pytest.approx(1), 1 / 2000, True)


def test_unmeasurable_metrics_are_nan():
    found = bootstrap(RATIO, cases([0, 0], [0, 0]), draw_resamples(2), 0.95)
    assert all(map(math.isnan, found))


def test_resamples_in_which_nothing_was_measured_are_left_out():
    found = bootstrap(RATIO, cases([4, 0, 0] * 5, [2, 0, 0] * 5), draw_resamples(15), 0.95)
    assert found.value == 2 and math.isnan(found.low), "five rows were measured"


def covered(level: float, draw: Callable, truth: float, kind: Metric, times: int = 300, rows: int = 80) -> float:
    """The share of simulated evaluations whose interval holds the truth."""
    random = np.random.default_rng(20250101)
    hits = 0
    for seed in range(times):
        found = bootstrap(kind, draw(random, rows), draw_resamples(rows, seed, 400), level)
        hits += found.low <= truth <= found.high
    return hits / times


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_of_a_mean_have_their_coverage(level):
    assert covered(level, lambda r, n: cases(r.normal(3, 2, n)), 3, MEAN) == pytest.approx(level, abs=0.05)


def test_intervals_of_a_ratio_of_sums_have_their_coverage():
    def draw(random, n):
        lengths = random.integers(5, 60, n)
        return cases(lengths * 0.7 + random.normal(0, 4, n), lengths)

    assert covered(0.95, draw, 0.7, RATIO) == pytest.approx(0.95, abs=0.05)


def test_intervals_of_a_share_have_their_coverage():
    shares = measure(lambda case: (case.nll, 1), percent)
    assert covered(0.95, lambda r, n: cases(r.random(n) < 0.3), 30, shares) == pytest.approx(0.95, abs=0.05)


def test_equal_models_are_rarely_significant():
    """An A/A test: at 95 % about one comparison in twenty finds a difference that is not there."""
    random, times, rows = np.random.default_rng(7), 200, 60
    told_apart = 0
    for seed in range(times):
        row = random.normal(0, 3, rows)  # what both models share
        before, after = (cases(row + random.normal(0, 1, rows)) for _ in range(2))
        found = difference(MEAN, before, after, draw_resamples(rows, seed, 400), 0.95)
        told_apart += found.significant
    assert 0.02 <= told_apart / times <= 0.09


def test_different_models_are_nearly_always_significant():
    random, rows = np.random.default_rng(7), 60
    for seed in range(20):
        row = random.normal(0, 3, rows)
        before, after = cases(row + random.normal(0, 1, rows)), cases(row + 1.5 + random.normal(0, 1, rows))
        assert difference(MEAN, before, after, draw_resamples(rows, seed, 400), 0.95).significant


def test_a_real_metric_goes_through_it():
    found = bootstrap(metric("perplexity"), cases([math.log(2) * 10, math.log(4) * 10] * 5, [10] * 10), draw_resamples(10), 0.95)
    assert found.value == pytest.approx(8**0.5) and 2 <= found.low < found.value < found.high <= 4
