"""How often a difference between two equally good models is called significant, and how often intervals hold the true value.

    python benchmarks/significance.py [--times 1000] [--intervals 200] [--kinds KIND...]

For every kind of metric (means, proportions, perplexity, macro-F1, level error, rank correlation) and 1, 5, 12, 50 and 500 rows, both
models are drawn from one distribution; what a row adds to both is shared, as in a real evaluation. At 95 % at most 5 % may be called
significant. In brackets, of --intervals such evaluations: how often a plain percentile bootstrap leaves out 0; then, of the evaluations
whose metric has an interval (how many have, in percent), how often it holds the true value. `unequal` and `rarely far` are models of the
same mean, one constant and the other skewed: more than the test is built for. The last line is one JSON object.
"""

import argparse
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from recipekit.runner.evaluation.intervals import bootstrap, difference, draw_resamples, stats_of
from recipekit.runner.evaluation.metrics import LabelPrediction, Prediction, metric
from recipekit.runner.evaluation.significance import p_value

ROWS = (1, 5, 12, 50, 500)
CONFIDENCE = 0.95
Random = np.random.Generator
Pair = list[list[Any]]


def prediction(**fields: Any) -> Prediction:
    return Prediction(**{"id": "", "reference": "", "reply": "", "stopped": True, "reply_tokens": 1, "nll": 0.0, "target_tokens": 1,
                         "correct": 0, **fields})  # fmt: skip


def mean(random: Random, rows: int) -> Pair:
    """Lengths: normal, half of their variance the row's."""
    shared = random.normal(100, 20, rows)
    return [[prediction(reply_tokens=value) for value in shared + random.normal(0, 20, rows)] for _ in range(2)]


def skewed_mean(random: Random, rows: int) -> Pair:
    """Lengths with a long tail."""
    shared = random.lognormal(4, 0.5, rows)
    return [[prediction(reply_tokens=value) for value in shared * random.lognormal(0, 0.8, rows)] for _ in range(2)]


def proportion(random: Random, rows: int) -> Pair:
    """Whether replies stop: easy rows and hard ones."""
    chance = random.choice([0.2, 0.9], rows)
    return [[prediction(stopped=bool(value)) for value in random.random(rows) < chance] for _ in range(2)]


def rare_proportion(random: Random, rows: int) -> Pair:
    """The same of an event that 3 % of the rows have."""
    return [[prediction(stopped=bool(value)) for value in random.random(rows) < 0.03] for _ in range(2)]


def perplexity(random: Random, rows: int) -> Pair:
    """exp of a ratio of sums, of rows of 5 to 400 tokens."""
    tokens = random.integers(5, 400, rows)
    shared = random.normal(2, 0.5, rows)
    losses = (tokens * np.abs(shared + random.normal(0, 0.3, rows)) for _ in range(2))
    return [[prediction(nll=float(n), target_tokens=int(t)) for n, t in zip(loss, tokens, strict=True)] for loss in losses]


def macro_f1(random: Random, rows: int) -> Pair:
    """Three labels, one of them rare; seven of ten rows right."""
    truth = random.choice(3, rows, p=[0.6, 0.3, 0.1])
    guesses = (np.where(random.random(rows) < 0.7, truth, random.integers(0, 3, rows)) for _ in range(2))
    return [[LabelPrediction("", int(t), int(g), 3) for t, g in zip(truth, guess, strict=True)] for guess in guesses]


def unequal(random: Random, rows: int) -> Pair:
    """The same mean, but one model's lengths are constant and the other's skewed."""
    return [[prediction(reply_tokens=1.0)] * rows, [prediction(reply_tokens=value) for value in random.exponential(1, rows)]]


def heavy_tail(random: Random, rows: int) -> Pair:
    """Differences without a variance (Student's t, 2 degrees of freedom)."""
    shared = random.normal(100, 20, rows)
    return [[prediction(reply_tokens=value) for value in shared + 10 * random.standard_t(2, rows)] for _ in range(2)]


def rarely_far(random: Random, rows: int) -> Pair:
    """The same mean, but one model is constant and the other is far off in one row of twenty."""
    far = np.where(random.random(rows) < 0.05, 20.0, 0.0)
    return [[prediction(reply_tokens=1.0)] * rows, [prediction(reply_tokens=value) for value in far]]


def level_error(random: Random, rows: int) -> Pair:
    """Low, medium or high for a fraction; six of ten rows right."""
    fraction = random.choice(np.arange(11) / 10, rows)
    truth = np.digitize(fraction, [0.34, 0.67])
    guesses = (np.where(random.random(rows) < 0.6, truth, random.integers(0, 3, rows)) for _ in range(2))
    return [
        [LabelPrediction("", int(t), int(g), 3, fraction=float(f)) for t, g, f in zip(truth, guess, fraction, strict=True)]
        for guess in guesses
    ]


KINDS: dict[str, tuple[str, Callable[[Random, int], Pair]]] = {
    "mean": ("reply_tokens", mean), "skewed mean": ("reply_tokens", skewed_mean), "proportion": ("stop_rate", proportion),
    "rare proportion": ("stop_rate", rare_proportion), "perplexity": ("perplexity", perplexity), "macro-F1": ("macro_f1", macro_f1),
    "level error": ("level_error", level_error), "rank correlation": ("rank_correlation", level_error),
    "heavy tail": ("reply_tokens", heavy_tail), "unequal": ("reply_tokens", unequal), "rarely far": ("reply_tokens", rarely_far),
}  # fmt: skip


def measure(kind: str, rows: int, times: int, intervals: int) -> dict[str, float]:
    """Percentages: called significant, of `times`; called different by the bootstrap and given an interval, of `intervals`; intervals that
    hold, of those given."""
    name, draw = KINDS[kind]
    measured, random = metric(name), np.random.default_rng(rows)
    truth = measured.aggregate(*stats_of(measured, draw(np.random.default_rng(0), 100_000)[1]).sum(axis=0))
    significant = different = given = held = 0
    for seed in range(times):
        pair = draw(random, rows)
        before, after = (stats_of(measured, side) for side in pair)
        if p_value(measured, before, after) <= 1 - CONFIDENCE:  # the interval, which costs more, can only take it back
            significant += difference(measured, *pair, draw_resamples(rows, seed), CONFIDENCE).significant
        if seed < intervals:
            resamples = draw_resamples(rows, seed)
            change = [measured.aggregate(*a) - measured.aggregate(*b) for a, b in zip(resamples @ after, resamples @ before, strict=True)]
            low, high = np.percentile(change, [2.5, 97.5])
            different += bool(low > 0 or high < 0)
            found = bootstrap(measured, pair[1], resamples, CONFIDENCE)
            given += not math.isnan(found.low)
            held += found.low <= truth <= found.high
    return {"significant": 100 * significant / times, "bootstrap": 100 * different / intervals, "given": 100 * given / intervals,
            "interval": 100 * held / given if given else math.nan}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--intervals", type=int, default=200)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[*KINDS])
    given = parser.parse_args()
    print(f"{'percent':>16} " + " ".join(f"{f'{rows} rows':>24}" for rows in ROWS))
    results: dict[str, dict[int, dict[str, float]]] = {}
    for kind in given.kinds:
        results[kind] = {rows: measure(kind, rows, given.times, given.intervals) for rows in ROWS}
        cells = (f"{f['significant']:.2f} ({f['bootstrap']:.1f}; {f['given']:.0f}: {f['interval']:.1f})" for f in results[kind].values())
        print(f"{kind:>16} " + " ".join(f"{cell:>24}" for cell in cells), flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
