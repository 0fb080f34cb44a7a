"""Whether a difference is called significant: the permutation test by hand, against scipy, and in small simulations.

benchmarks/significance.py measures every kind of metric.
"""

import pytest

np = pytest.importorskip("numpy", reason="needs the extra [train]: numpy")

from recipekit.runner.evaluation.intervals import bootstrap, difference, differences, draw_resamples, stats_of
from recipekit.runner.evaluation.metrics import LabelPrediction, Prediction, metric
from recipekit.runner.evaluation.significance import EXHAUSTIVE, holm, least_rows, p_value

LENGTH, PERPLEXITY, STOPPED = metric("reply_tokens"), metric("perplexity"), metric("stop_rate")


def stats(values, weights=None):
    return np.stack([np.asarray(values, float), np.ones(len(values)) if weights is None else np.asarray(weights, float)], axis=1)


def predictions(lengths):
    return [Prediction("", "", "", True, length, 0.0, 1, 0) for length in lengths]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_five_rows_or_fewer_never_make_a_difference_significant(count):
    assert not difference(LENGTH, predictions([1] * count), predictions([1000] * count), draw_resamples(count), 0.95).significant


def test_six_rows_that_all_improve_are_significant():
    assert p_value(LENGTH, stats([1] * 6), stats([2] * 6)) == 2 / 2**6
    assert difference(LENGTH, predictions([1] * 6), predictions([2] * 6), draw_resamples(6), 0.95).significant


@pytest.mark.parametrize(("confidence", "rows"), [(0.8, 4), (0.9, 5), (0.95, 6), (0.99, 8)])
def test_the_least_number_of_rows_follows_from_the_confidence(confidence, rows):
    assert least_rows(confidence) == rows
    assert 2 / 2**rows <= 1 - confidence + 1e-12 < 2 / 2 ** (rows - 1)


def test_the_least_number_of_rows_grows_with_the_metrics_of_a_table():
    assert [least_rows(0.95, tests) for tests in (1, 2, 5, 20)] == [6, 7, 8, 10]


def test_metrics_of_one_table_are_tested_together():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.9, 0.8]) == [1, 1]
    rows, drawn = (predictions([1] * 6), predictions([2] * 6)), {6: draw_resamples(6)}
    assert differences({"one": (LENGTH, *rows)}, drawn, 0.95)["one"].significant
    assert not any(found.significant for found in differences({n: (LENGTH, *rows) for n in range(2)}, drawn, 0.95).values())


def test_at_most_one_in_twenty_tables_of_equal_models_has_a_difference():
    """Ten independent metrics: each by itself would find one in 40 of 100 tables."""
    random, times, found = np.random.default_rng(5), 100, 0
    for _ in range(times):
        p_values = [p_value(LENGTH, stats(random.normal(size=12)), stats(random.normal(size=12))) for _ in range(10)]
        found += min(holm(p_values)) <= 0.05
    assert found / times <= 0.05 + 2.5 * (0.05 * 0.95 / times) ** 0.5


def test_rows_that_do_not_differ_carry_no_weight():
    assert p_value(LENGTH, stats([1] * 5 + [7] * 500), stats([2] * 5 + [7] * 500)) == 2 / 2**5


@pytest.mark.parametrize("count", [8, 60])
def test_the_p_value_is_scipys(count):
    scipy_stats = pytest.importorskip("scipy.stats", reason="needs the extra [eval]: scikit-learn")
    random = np.random.default_rng(3)
    before, after = random.normal(0, 1, count), random.normal(0.4, 1, count)
    expected = scipy_stats.permutation_test(
        (after - before,), np.mean, permutation_type="samples", n_resamples=20_000, random_state=1
    ).pvalue
    assert p_value(LENGTH, stats(before), stats(after)) == pytest.approx(expected, abs=1e-9 if count <= EXHAUSTIVE else 0.02)


def test_equal_models_and_numbers_that_are_not_finite_have_no_significant_difference():
    same = stats([1.0, 2.0, 3.0] * 10)
    assert p_value(LENGTH, same, same) == 1
    assert p_value(PERPLEXITY, same, stats([1e9] * 30)) == 1


def losses(random, count):
    tokens = random.integers(5, 400, count)
    return stats(tokens * random.normal(2, 0.5, count), tokens)


def labels(random, count):
    rows = [LabelPrediction("", int(truth), int(given), 3) for truth, given in random.integers(0, 3, (count, 2))]
    return stats_of(metric("macro_f1"), rows)


KINDS = {
    "mean": (LENGTH, lambda random, count: stats(random.normal(0, 1, count))),
    "skewed mean": (LENGTH, lambda random, count: stats(random.lognormal(0, 1.5, count))),
    "proportion": (STOPPED, lambda random, count: stats(random.random(count) < 0.3)),
    "perplexity": (PERPLEXITY, losses),
    "macro-F1": (metric("macro_f1"), labels),
}


@pytest.mark.parametrize("count", [1, 5, 12, 50])
@pytest.mark.parametrize("kind", KINDS)
def test_at_most_one_in_twenty_equal_models_is_called_different(kind, count):
    """Few enough simulations to be quick, so with their sampling error; benchmarks/significance.py has 1,000, and 500 rows."""
    measured, draw = KINDS[kind]
    random, times = np.random.default_rng(count), 100
    found = sum(p_value(measured, draw(random, count), draw(random, count)) <= 0.05 for _ in range(times))
    assert found / times <= 0.05 + 2.5 * (0.05 * 0.95 / times) ** 0.5


def test_a_proportion_has_an_exact_interval_even_where_every_row_is_the_same():
    stopped = [Prediction("", "", "", True, 1, 0.0, 1, 0)] * 12
    found = bootstrap(STOPPED, stopped, draw_resamples(12), 0.95)
    assert (found.value, found.high) == (100, 100) and found.low == pytest.approx(100 * 0.025 ** (1 / 12))
