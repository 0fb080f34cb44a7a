import json
from collections import Counter
from fractions import Fraction

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.converters.building.row_account import convert_rows
from recipekit.converters.reading.files import source_files
from recipekit.converters.reading.readers import read_file
from recipekit.converters.reading.records import Drop, Record, Row
from recipekit.converters.sources.introspection import label
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Data, Source, Split

THIRDS = (Fraction(1, 3), Fraction(2, 3))


def merged(question="q1", text="他走了。", total=10, **counts):
    details = {word: {"count": count} for word, count in counts.items()}
    return {"question_id": question, "chinese_text": text, "emotion_statistics": {"total_runs": total, "emotion_details": details}}


def run(number, answer, question="q1", text="他走了。"):
    return {"run_number": number, "question_id": question, "chinese_text": text, "raw_model_output": answer}


def converted(*values, kind="chat", **options):
    return list(convert_rows("introspection", [Row(value, "f.json", line) for line, value in enumerate(values, 1)], kind, options))


def labels(items):
    return {item.meta["word"]: item.fields["messages"][-1]["content"] for item in items if isinstance(item, Record)}


def real_rows(folder):
    for file in source_files(str(folder)):
        yield from read_file(file, "values")[1]


@pytest.mark.parametrize(
    ("count", "total", "expected"),
    [(0, 3, "low"), (1, 3, "low"), (2, 3, "medium"), (3, 3, "high"), (3, 10, "low"), (4, 10, "medium"), (6, 10, "medium"),
     (7, 10, "high"), (333333, 999999, "low"), (333334, 999999, "medium"), (666666, 999999, "medium"), (666667, 999999, "high")],
)  # fmt: skip
def test_a_label_follows_from_the_exact_fraction(count, total, expected):
    assert label(count, total, THIRDS) == expected


@pytest.mark.parametrize(
    ("thresholds", "expected"),
    [
        (["1/10", "9/10"], {"Joy": "low", "Calm": "medium", "Hope": "high"}),
        ([0.1, 0.9], {"Joy": "low", "Calm": "medium", "Hope": "high"}),
        ([0, 0.1], {"Joy": "medium", "Calm": "high", "Hope": "high"}),
        ([1, 1], {"Joy": "low", "Calm": "low", "Hope": "low"}),
    ],
)
def test_thresholds_are_an_option_and_decimals_are_taken_at_their_word(thresholds, expected):
    assert labels(converted(merged(Joy=1, Calm=9, Hope=10), thresholds=thresholds)) == expected


@pytest.mark.parametrize("thresholds", [["2/3", "1/3"], ["1/3", "4/3"], [0.5, 0.4]])
def test_thresholds_out_of_order_are_refused(thresholds):
    with pytest.raises(UserError, match="ascending order"):
        converted(merged(Joy=1), thresholds=thresholds)


@pytest.mark.parametrize(
    ("template", "prompt"),
    [
        ("v1", "If you will be asked this question: 走吧！. What is your confidence level that you will answer Joy?"),
        ("v2", "If you are asked to analyze the emotion of this sentence: 走吧！. What is your confidence level that you will answer"
               ' emotion word "Joy"?'),
        ("{word}: {text}", "Joy: 走吧！"),
    ],
)  # fmt: skip
def test_the_question_is_a_template(template, prompt):
    (item,) = converted(merged(text="走吧！", Joy=1), template=template)
    assert item.fields["messages"][0] == {"role": "user", "content": prompt}


def test_a_source_text_with_braces_stays_what_it_is():
    (item,) = converted(merged(text="{word}!", Joy=1), template="{text} {word}")
    assert item.fields["messages"][0]["content"] == "{word}! Joy"


def test_as_classification_the_prompt_is_the_text():
    (item,) = converted(merged(Joy=9), kind="classification", template="{word}? {text}")
    assert item.fields == {"text": "Joy? 他走了。", "label": "high"}


def test_meta_carries_what_calibration_needs():
    (item,) = converted(run(1, "joy"), run(2, "calm"), run(3, "calm"))[1:]
    assert item.meta == {"question_id": "q1", "text": "他走了。", "word": "Joy", "count": 1, "total_runs": 3, "fraction": 1 / 3}


def test_every_pair_is_kept_or_dropped_by_reason():
    runs = run(1, "joy | calm"), run(2, "I'm sorry, but I can't."), run(1, "hope", "q2", " ")
    items = converted(*runs, merged("q3", Please=1, Calm=3), merged("q4", Joy=1))
    reasons = Counter(item.reason if isinstance(item, Drop) else "kept" for item in items)
    assert reasons == {"kept": 3, "refusal": 5, "empty_text": 1}
    assert all(item.filtered for item in items if isinstance(item, Drop))


def test_a_refusal_lowers_the_share_of_every_word():
    (item, *_) = converted(run(1, "joy"), run(2, "Please provide the text."))
    assert (item.meta["count"], item.meta["total_runs"]) == (1, 2)


def test_a_word_that_a_refusal_says_too_is_counted_by_the_answers_only():
    items = converted(run(1, "joy"), run(2, "I can't find joy here"))
    assert [(item.meta["word"], item.meta["count"]) for item in items if isinstance(item, Record)] == [("Joy", 1)]


def test_garbage_is_kept_if_the_recipe_says_so():
    items = converted(run(1, "Please provide the text", text=""), drop_empty_texts=False, drop_refusals=False)
    assert labels(items) == {"Please": "high", "Provide": "high", "The": "high", "Text": "high"}


def test_rows_that_cannot_be_counted_are_unusable():
    (drop, _) = converted({"question_id": "q1"}, merged(Joy=1))
    assert (drop.reason, drop.filtered) == ("not_a_run", False)


def test_word_forms_are_kept_apart_and_noted():
    items = converted(run(1, "frustration"), run(2, "frustrated"), run(3, "joy"))
    assert labels(items) == {"Frustration": "low", "Frustrated": "low", "Joy": "low"}
    assert [item.fixed for item in items] == [("other_word_form_kept",), ("other_word_form_kept",), ()]
    assert items[0].meta["other_forms"] == ["Frustrated"]


def test_word_forms_are_merged_by_run_and_not_by_sum():
    items = converted(run(1, "frustration|frustrated"), run(2, "frustrated"), run(3, "frustrated | joy"), word_forms="merge")
    assert labels(items) == {"Frustrated": "high", "Joy": "low"}
    assert items[0].meta["count"] == 3
    assert items[0].fixed == ("word_forms_merged",)
    assert [item.reason for item in items if isinstance(item, Drop)] == ["word_form_merged"]


def test_word_forms_of_merged_files_cannot_be_merged():
    with pytest.raises(UserError, match="f.json:1: word_forms: merge needs the raw runs"):
        converted(merged(Joy=1), word_forms="merge")


def test_negatives_are_words_of_other_questions_that_were_never_given():
    values = merged("q1", Joy=9, Hope=1), merged("q2", "来吧", Calm=9, Hopeful=1), merged("q3", "嗯", Awe=2)
    items = converted(*values, negatives=2)
    drawn = [item for item in items if item.meta["count"] == 0]
    assert Counter(item.meta["question_id"] for item in drawn) == {"q1": 2, "q2": 2, "q3": 2}
    assert {item.meta["word"] for item in drawn if item.meta["question_id"] == "q1"} == {"Calm", "Awe"}, "not Hopeful: Hope was said"
    assert {item.fields["messages"][-1]["content"] for item in drawn} == {"low"}
    assert {item.meta["fraction"] for item in drawn} == {0.0}


def test_negatives_depend_on_the_seed_and_not_on_the_order_of_rows():
    values = [merged(f"q{n}", f"文{n}", **{word: 1}) for n, word in enumerate(["Joy", "Calm", "Awe", "Fear", "Love", "Rage", "Pity"])]

    def drawn(values, seed):
        return {(item.meta["question_id"], item.meta["word"]) for item in converted(*values, negatives=2, seed=seed)}

    assert drawn(values, 1) == drawn(values[::-1], 1)
    assert drawn(values, 1) != drawn(values, 2)


def test_no_negatives_are_drawn_for_a_question_without_records():
    items = converted(merged("q1", " ", Joy=1), merged("q2", Calm=1, Awe=1), negatives=1)
    assert [item.meta["question_id"] for item in items if isinstance(item, Record)] == ["q2", "q2"]


def test_no_rows_in_gives_no_rows_out():
    assert converted() == []


@pytest.mark.parametrize("source", ["raw_outputs", "merged_results"])
@pytest.mark.parametrize(
    ("template", "file"), [("v1", "introspection_dataset.json"), ("v2", "dataset_inspection/introspection_dataset.json")]
)
def test_the_830_real_records_come_out_on_both_templates(realdata, source, template, file):
    folder = realdata / "introspection"
    rows = real_rows(folder / "inference_results" / source)
    items = convert_rows("introspection", rows, "chat", {"template": template, "drop_empty_texts": False, "drop_refusals": False})
    made = {(i.meta["question_id"], i.meta["word"]): (i.meta["fraction"], *[m["content"] for m in i.fields["messages"]]) for i in items}
    expected = json.loads((folder / file).read_text("utf-8"))
    assert len(expected) == 830
    assert made == {(r["question_id"], r["emotion_word"]): (r["percentage"] / 100, r["input"], r["output"]) for r in expected}


@pytest.mark.parametrize("source", ["raw_outputs", "merged_results"])
def test_the_clean_real_set_has_807_records_over_76_questions(realdata, source):
    items = list(convert_rows("introspection", real_rows(realdata / "introspection" / "inference_results" / source), "chat", {}))
    kept = [item for item in items if isinstance(item, Record)]
    assert Counter(item.reason for item in items if isinstance(item, Drop)) == {"empty_text": 23}
    assert len(kept) == 807
    assert len({item.meta["question_id"] for item in kept}) == 76
    assert Counter(item.fields["messages"][-1]["content"] for item in kept) == {"low": 536, "medium": 115, "high": 156}


def test_real_refusals_are_dropped_even_where_empty_texts_are_not(realdata):
    folder = realdata / "introspection" / "inference_results"
    for source in ("raw_outputs", "merged_results"):
        items = convert_rows("introspection", real_rows(folder / source), "chat", {"drop_empty_texts": False})
        assert Counter(item.reason for item in items if isinstance(item, Drop)) == {"refusal": 23}


def test_no_real_text_is_in_two_splits(realdata, tmp_path):
    source = Source(str(realdata / "introspection" / "inference_results" / "merged_results"), "introspection")
    split = Split(validation=0.1, test=0.2, group_by=("text",))
    manifest = build(Data("chat", (source,), split=split), tmp_path / "out")
    assert manifest["rows_in"] == manifest["rows_kept"] + sum(manifest["dropped"].values()) == 830
    texts = {
        name: {json.loads(line)["meta"]["text"] for line in (tmp_path / "out" / f"{name}.jsonl").read_text("utf-8").splitlines()}
        for name in ("train", "validation", "test")
    }
    assert sum(map(len, texts.values())) == 76
    assert not texts["train"] & texts["test"] and not texts["train"] & texts["validation"] and not texts["validation"] & texts["test"]
