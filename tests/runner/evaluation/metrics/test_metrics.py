"""What every metric has in common."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from recipekit.runner.evaluation import metrics as folder
from recipekit.runner.evaluation.metrics import FAMILIES, LabelPrediction, Prediction, metric, metrics, percent, ratio, register_metric

METRICS = tuple(metrics())
OF_LABELS = [name for name in METRICS if metric(name).needs == "labels"]
JUDGED = [name for name in METRICS if metric(name).needs == "judge"]


def needs(name):
    package = EXTRAS.get(name) or EXTRAS.get(name.rpartition("_")[0])
    if package and find_spec(package) is None:
        pytest.skip(f"needs the extras [data] and [eval]: {package}")


CASE = Prediction("1", "Yes ✅.", "Yes, yes.", True, 4, nll=2.0, target_tokens=4, correct=3, original_tokens=20)
REPLIES = (
    "Yes ✅. a b c d a b c d ✅✅✅✅✅",
    "Why not? Go on!",
    "",
    "  NO, https://example.org \n",
    "1. one\n2. two\n\n```\nx = 3\n```",
    "**你好**。As an AI, I am sorry, but I cannot say.",
)
EXTRAS = {"token_reduction": "tiktoken", "emoji_rate": "emoji", "spam_rate": "emoji", "bleu": "jieba", "rouge": "rouge"}


def test_every_module_of_the_folder_is_a_family_or_counts_for_one():
    modules = {path.stem for path in Path(str(folder.__file__)).parent.glob("*.py")}
    assert modules == {"__init__", "cl100k", *FAMILIES}


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="two metrics are called accuracy"):
        register_metric("accuracy", higher_is_better=True)(lambda row: (0, 1))


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_of_no_rows_is_nan(name):
    needs(name)
    case = LabelPrediction("1", truth=0, predicted=1, labels=2) if name in OF_LABELS else CASE
    value = metric(name).aggregate(*(0 for _ in metric(name).row_stats(case)))
    assert value != value


@pytest.mark.parametrize("name", ["accuracy", "macro_f1"])
def test_label_metrics_count_correct_predictions(name):
    right, wrong = (metric(name).row_stats(LabelPrediction("1", 2, predicted, 4)) for predicted in (2, 0))
    assert len(right) == len(wrong)
    assert metric(name).aggregate(*right) == 1 and metric(name).aggregate(*wrong) == 0
    assert metric(name).needs_reply is metric(name).applies_to_reference is False


@pytest.mark.parametrize("name", OF_LABELS)
def test_a_reply_that_is_not_a_label_has_as_many_sums_as_any_other(name):
    rows = [LabelPrediction("1", 2, predicted, 4, fraction=0.3) for predicted in (2, 0, -1)]
    assert len({len(metric(name).row_stats(row)) for row in rows}) == 1


@pytest.mark.parametrize("name", [name for name in METRICS if name not in OF_LABELS])
def test_a_reply_counts_only_where_the_metric_says_that_it_needs_one(name):
    needs(name)
    others = [CASE._replace(reply=reply, stopped=False, reply_tokens=9, judged=dict.fromkeys(JUDGED, 1)) for reply in REPLIES]
    changed = any(metric(name).row_stats(other) != metric(name).row_stats(CASE) for other in others)
    assert changed is metric(name).needs_reply, "a reply that the metric counts is missing in REPLIES, or needs_reply is wrong"


def test_ratio_and_percent_by_hand():
    assert (ratio(1, 4), percent(1, 4)) == (0.25, 25)
    assert ratio(1, 0) != ratio(1, 0)
