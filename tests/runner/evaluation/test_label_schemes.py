"""Types and their letters, and the earlier paper's committed predictions as the golden result."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("sklearn", reason="needs the extra [eval]: scikit-learn")
from recipekit.runner.evaluation.classification import macro_f1, mentioned, per_class
from recipekit.runner.evaluation.label_schemes import SCHEMES, pair_of, scheme_of

(MBTI,) = SCHEMES


def test_sixteen_split_to_four_and_joined_are_what_they_were():
    types = ["INTJ", "ENFP", "ISFJ", "ESTP"]
    assert MBTI.split(types) == {
        "EI": ["I", "E", "I", "E"],
        "NS": ["N", "N", "S", "S"],
        "FT": ["T", "F", "F", "T"],
        "JP": ["J", "P", "J", "P"],
    }
    assert MBTI.join(MBTI.split(types)) == types


def test_rows_of_unequal_number_are_not_joined():
    with pytest.raises(ValueError):
        MBTI.join({"EI": ["E", "I"], "NS": ["N"], "FT": ["F"], "JP": ["J"]})


@pytest.mark.parametrize(
    ("labels", "types", "pair"),
    [(["ENFP", "ISTJ"], True, None), (["E", "I"], False, "EI"), (["P", "J"], False, "JP"), ([], False, None), (["yes", "no"], False, None)],
)
def test_labels_are_distinguished(labels, types, pair):
    assert (scheme_of(labels), pair_of(labels)) == (MBTI if types else None, (MBTI, pair) if pair else None)


@given(st.tuples(*[st.floats(0, 1)] * 4))
def test_joined_probabilities_are_of_all_sixteen_and_favour_the_likeliest_letters(chances):
    letters = {pair: {pair[0]: chance, pair[1]: 1 - chance} for pair, chance in zip(MBTI.pairs, chances, strict=True)}
    found = MBTI.joined_probabilities(letters)
    assert len(found) == 16 and sum(found.values()) == pytest.approx(1) and MBTI.are_whole(list(found))
    likeliest = "".join(max(letters[pair], key=letters[pair].__getitem__) for pair in MBTI.pairs)
    assert found[likeliest] == max(found.values())


def test_scores_by_hand():
    found = MBTI.scores(["INTJ", "ENTJ"], ["INTJ", "INTJ"])
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
    mean = MBTI.scores(truth, predicted)["mean"]
    assert mean == pytest.approx({"accuracy": 0.731, "f1": 0.632, "precision": 0.780, "recall": 0.655}, abs=0.0005)
    again = MBTI.join(MBTI.split(predicted))
    assert again == predicted and list(MBTI.split(predicted)) == list(MBTI.pairs)


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
def test_the_label_that_a_text_names_most_else_the_majority_class(text, expected):
    labels = ["ENTJ", "INFP"]
    (row,) = mentioned(TRAIN, [text], labels, None)
    assert labels[row.index(max(row))] == expected and sum(row) == pytest.approx(1)


def test_a_single_letter_is_named_by_the_types_that_a_text_names():
    train = [{"label": "I", "text": ""}, {"label": "E", "text": ""}, {"label": "I", "text": ""}]
    rows = mentioned(train, ["I think I am an ENFP", "I said nothing"], ["E", "I"], None)
    assert rows[0] == [1, 0] and rows[1] == pytest.approx([1 / 3, 2 / 3])
