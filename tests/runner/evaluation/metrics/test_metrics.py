"""What every metric has in common."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from recipekit.runner.evaluation import metrics as folder
from recipekit.runner.evaluation.metrics import METRICS, OF_LABELS, LabelPrediction, Prediction, metric, percent, ratio
from recipekit.schemas.metrics import JUDGED
from recipekit.schemas.metrics import METRICS as BY_TYPE
from recipekit.schemas.metrics import OF_LABELS as LABELLED


def needs(name):
    package = EXTRAS.get(name) or EXTRAS.get(name.rpartition("_")[0])
    if package and find_spec(package) is None:
        pytest.skip(f"needs the extras [data] and [eval]: {package}")


CASE = Prediction("1", "Yes ✅.", "Yes, yes.", True, 4, nll=2.0, trained=4, correct=3, original_tokens=20)
EXTRAS = {"token_reduction": "tiktoken", "emoji_rate": "emoji", "spam_rate": "emoji", "bleu": "jieba", "rouge": "rouge"}


@pytest.mark.parametrize("name", BY_TYPE)
def test_every_metric_that_a_recipe_may_name_is_there(name):
    assert name in METRICS


def test_no_metric_is_there_that_a_recipe_may_not_name():
    assert set(METRICS) - set(BY_TYPE) == set()


def test_every_module_of_the_folder_is_a_metric_or_what_one_counts_with():
    found = {path.stem for path in Path(str(folder.__file__)).parent.glob("*.py")}
    assert found - set(METRICS) == {"__init__", "cl100k", "jieba_words", "bleu", "rouge", "judged"}


def test_recipes_are_told_of_the_same_metrics_of_labels():
    assert set(LABELLED) == OF_LABELS
    assert {name for name, types in BY_TYPE.items() if "classification" in types} <= OF_LABELS


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_says_what_it_is(name):
    measure = metric(name)
    assert isinstance(measure.UNIT, str)
    assert measure.BETTER in ("lower", "higher", "")
    assert isinstance(measure.NEEDS_REPLY, bool) and isinstance(measure.ON_REFERENCE, bool)
    assert measure.__doc__ and "\n" not in measure.__doc__.split(". ")[0]


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_of_nothing_is_not_a_number_and_not_an_error(name):
    needs(name)
    case = LabelPrediction("1", truth=0, predicted=1, labels=2) if name in OF_LABELS else CASE
    value = metric(name).value(*(0 for _ in metric(name).parts(case)))
    assert value != value


@pytest.mark.parametrize("name", ["accuracy", "macro_f1"])
def test_a_metric_of_labels_counts_right_ones_and_has_as_many_sums_for_every_row(name):
    right, wrong = (metric(name).parts(LabelPrediction("1", 2, predicted, 4)) for predicted in (2, 0))
    assert len(right) == len(wrong)
    assert metric(name).value(*right) == 1 and metric(name).value(*wrong) == 0
    assert metric(name).NEEDS_REPLY is metric(name).ON_REFERENCE is False


@pytest.mark.parametrize("name", sorted(OF_LABELS))
def test_a_reply_that_is_no_label_has_as_many_sums_as_any_other(name):
    rows = [LabelPrediction("1", 2, predicted, 4, fraction=0.3) for predicted in (2, 0, -1)]
    assert len({len(metric(name).parts(row)) for row in rows}) == 1


@pytest.mark.parametrize("name", [name for name in METRICS if name not in OF_LABELS])
def test_a_reply_counts_only_where_the_metric_says_that_it_needs_one(name):
    needs(name)
    other = CASE._replace(reply="Yes ✅. a b c d a b c d ✅✅✅✅✅", stopped=False, reply_tokens=9, judged=dict.fromkeys(JUDGED, 1))
    changed = metric(name).parts(other) != metric(name).parts(CASE)
    assert changed is metric(name).NEEDS_REPLY


def test_ratio_and_percent_by_hand():
    assert (ratio(1, 4), percent(1, 4)) == (0.25, 25)
    assert ratio(1, 0) != ratio(1, 0)
