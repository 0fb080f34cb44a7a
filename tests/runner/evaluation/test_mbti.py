"""Types and their letters, and the earlier paper's committed predictions as the golden result."""

import csv

import pytest

pytest.importorskip("sklearn", reason="needs the extra [eval]: scikit-learn")
from recipekit.runner.evaluation.classification import macro_f1, per_class
from recipekit.runner.evaluation.classification_baselines import mentioned
from recipekit.runner.evaluation.mbti import DIMENSIONS, are_types, dimension_of, dimension_scores, join, split


def test_sixteen_split_to_four_and_joined_are_what_they_were():
    types = ["INTJ", "ENFP", "ISFJ", "ESTP"]
    assert split(types) == {"EI": ["I", "E", "I", "E"], "NS": ["N", "N", "S", "S"], "FT": ["T", "F", "F", "T"], "JP": ["J", "P", "J", "P"]}
    assert join(split(types)) == types


def test_rows_of_unequal_number_are_not_joined():
    with pytest.raises(ValueError):
        join({"EI": ["E", "I"], "NS": ["N"], "FT": ["F"], "JP": ["J"]})


@pytest.mark.parametrize(
    ("labels", "types", "dimension"),
    [(["ENFP", "ISTJ"], True, None), (["E", "I"], False, "EI"), (["P", "J"], False, "JP"), ([], False, None), (["yes", "no"], False, None)],
)
def test_labels_are_told_apart(labels, types, dimension):
    assert (are_types(labels), dimension_of(labels)) == (types, dimension)


def test_scores_by_hand():
    found = dimension_scores(["INTJ", "ENTJ"], ["INTJ", "INTJ"])
    assert found["EI"] == {"accuracy": 0.5, "f1": pytest.approx(2 / 3), "precision": 0.5, "recall": 1.0}
    assert found["NS"]["accuracy"] == 1 and found["mean"]["accuracy"] == 0.875
    assert found["FT"]["f1"] == 0  # nobody is F: written as 0


def test_the_earlier_papers_predictions_give_the_numbers_that_it_reports(realdata):
    def column(name, field):
        with (realdata / "mbti" / "results" / name).open(encoding="utf-8") as stream:
            return [row[field] for row in csv.DictReader(stream)]

    truth, predicted = column("test_labels.csv", "label"), column("previous_paper_test_prediction.csv", "pred_label")
    labels = sorted(set(truth) | set(predicted))
    numbers = [[labels.index(label) for label in side] for side in (truth, predicted)]
    assert sum(map(str.__eq__, truth, predicted)) / len(truth) == pytest.approx(0.294, abs=0.0005)
    assert macro_f1(per_class(*numbers, labels)) == pytest.approx(0.087, abs=0.0005)
    mean = dimension_scores(truth, predicted)["mean"]
    assert mean == pytest.approx({"accuracy": 0.731, "f1": 0.632, "precision": 0.780, "recall": 0.655}, abs=0.0005)
    again = join(split(predicted))
    assert again == predicted and list(split(predicted)) == list(DIMENSIONS)


TRAIN = [{"label": "INFP", "text": "a"}, {"label": "INFP", "text": "b"}, {"label": "ENTJ", "text": "c"}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I am an entj, ENTJs rule, not infp", "ENTJ"),
        ("nothing is named here, nor in reENTJoin", "INFP"),
        ("INFP's best", "INFP"),
        ("[TYPE] and [TYPE]", "INFP"),
    ],
)
def test_the_label_that_a_text_names_most_else_the_commonest(text, expected):
    labels = ["ENTJ", "INFP"]
    (row,) = mentioned(TRAIN, [text], labels, None)
    assert labels[row.index(max(row))] == expected and sum(row) == pytest.approx(1)


def test_a_single_letter_is_named_by_the_types_that_a_text_names():
    train = [{"label": "I", "text": ""}, {"label": "E", "text": ""}, {"label": "I", "text": ""}]
    rows = mentioned(train, ["I think I am an ENFP", "I said nothing"], ["E", "I"], None)
    assert rows[0] == [1, 0] and rows[1] == pytest.approx([1 / 3, 2 / 3])
