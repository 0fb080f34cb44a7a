import pytest
from recipekit.converters.reading.records import Drop, Row
from recipekit.converters.sources.questions import read_questions


def read(*values):
    """The questions and the reasons of the rows that could not be counted."""
    questions = {}
    items = list(read_questions([Row(value, "f.json", line) for line, value in enumerate(values, 1)], questions))
    return questions, [item.reason for item in items if isinstance(item, Drop)]


def run(number=1, answer="joy | calm", question="q1", text="他走了。", **more):
    return {"run_number": number, "question_id": question, "chinese_text": text, "raw_model_output": answer, **more}


def merged(total=10, question="q1", text="他走了。", **counts):
    details = {word: {"count": count, "frequency": round(count / total, 3)} for word, count in counts.items()}
    return {"question_id": question, "chinese_text": text, "emotion_statistics": {"total_runs": total, "emotion_details": details}}


def test_runs_of_one_question_are_counted_together():
    questions, faults = read(run(1), run(2, "calm"), run(1, "hope", "q2", "来吧"))
    assert faults == []
    assert questions["q1"].total == 2
    assert questions["q1"].words() == {"Calm": 2, "Joy": 1}
    assert questions["q1"].row.line == 1
    assert questions["q2"].words() == {"Hope": 1}


def test_a_refusal_counts_as_a_run_but_not_as_an_answer():
    question = read(run(1), run(2, "Please provide the text."))[0]["q1"]
    assert question.total == 2
    assert question.answers() == [["Joy", "Calm"]]
    assert "Please" in question.words()


def test_parsed_words_serve_where_the_answer_itself_is_not_kept():
    value = run(1, parsed_emotions=["Hope", "Hope"])
    del value["raw_model_output"]
    assert read(value)[0]["q1"].words() == {"Hope": 1}


def test_the_answer_is_parsed_again_where_it_is_kept():
    assert read(run(1, "joy", parsed_emotions=["Wrong"]))[0]["q1"].words() == {"Joy": 1}


def test_a_merged_file_gives_the_counts_of_its_runs_in_order():
    question = read(merged(Joy=2, Calm=9))[0]["q1"]
    assert question.total == 10
    assert list(question.words().items()) == [("Calm", 9), ("Joy", 2)]
    assert not question.counted_a_sentence()


def test_a_merged_file_that_counted_a_sentence_is_seen():
    assert read(merged(Joy=9, Please=1))[0]["q1"].counted_a_sentence()


def test_a_repeated_run_is_counted_once():
    assert read(run(1), run(1))[1] == ["run_twice"]
    assert read(merged(Joy=1), merged(Joy=1))[1] == ["counted_twice"]
    assert read(run(1), merged(Joy=1))[1] == ["counted_twice"]
    questions, faults = read(merged(Joy=1), run(1))
    assert faults == ["counted_twice"]
    assert questions["q1"].total == 10


def test_one_question_has_one_text():
    assert read(run(1), run(2, text="她走了。"))[1] == ["text_differs"]


@pytest.mark.parametrize(
    "value",
    [None, [], {}, {"question_id": "q1"}, {"question_id": 1, "chinese_text": ""}, {"question_id": "q1", "chinese_text": None},
     {"question_id": "q1", "chinese_text": "x"}, {**run(), "run_number": "1"}, {**run(), "raw_model_output": None},
     {**run(), "raw_model_output": None, "parsed_emotions": []}, {**run(), "raw_model_output": None, "parsed_emotions": [1]}],
)  # fmt: skip
def test_values_that_are_not_answers_are_refused(value):
    questions, faults = read(value)
    assert (faults, questions) == (["not_a_run"], {})


@pytest.mark.parametrize("statistics", [None, {}, {"total_runs": 0, "emotion_details": {}}, {"total_runs": 3, "emotion_details": {}},
                                        {"total_runs": True, "emotion_details": {"Joy": {"count": 1}}}])  # fmt: skip
def test_a_merged_file_without_counts_is_refused(statistics):
    assert read({"question_id": "q1", "chinese_text": "x", "emotion_statistics": statistics})[1] == ["no_statistics"]


@pytest.mark.parametrize(
    "detail",
    [{}, None, {"count": 4}, {"count": 0}, {"count": 1.0}, {"count": "1"}, {"count": 1, "frequency": 0.4},
     {"count": 1, "frequency": "0.333"}],
    ids=repr,
)  # fmt: skip
def test_counts_that_cannot_be_true_are_refused(detail):
    value = {"question_id": "q1", "chinese_text": "x", "emotion_statistics": {"total_runs": 3, "emotion_details": {"Joy": detail}}}
    assert read(value)[1] == ["wrong_statistics"]


def test_a_frequency_rounded_to_three_places_is_accepted():
    assert read(merged(3, Joy=1, Calm=2))[1] == []
    assert read(merged(7, Joy=1, Calm=2, Hope=6))[1] == []
