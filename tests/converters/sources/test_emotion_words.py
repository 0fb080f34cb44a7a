import json
from collections import defaultdict

import pytest
from recipekit.converters.sources.emotion_words import is_refusal, merge_runs, parse_emotions, word_family


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("love | affection | willingness", ["Love", "Affection", "Willingness"]),
        ("love|LOVE|Affection", ["Love", "Affection"]),
        ("Sadness, longing, hope", ["Sadness", "Longing", "Hope"]),
        ("sadness; longing - hope & joy+calm", ["Sadness", "Longing", "Hope", "Joy", "Calm"]),
        ("1. Joy | 'Calm' | \"Hope\"", ["Joy", "Calm", "Hope"]),
        ("*Joy* | (calm) | hope.", ["Joy", "Calm", "Hope"]),
        ("joy | calm\nsadness | anger", ["Joy", "Calm"]),
        ("  \n joy | calm", ["Joy", "Calm"]),
        ("joy | deeply_moved | deeply moved | a | abcdefghijklmnopqrstu", ["Joy"]),
        ("joy, calm | hope", ["Hope"]),
    ],
    ids=[
        "pipes", "words are capitalised and said once", "commas", "other separators", "numbers and quotes go", "edges are trimmed",
        "the first line only", "white space before the first line", "what is no single word of 2 to 20 letters is left out",
        "pipes separate before commas",
    ],
)  # fmt: skip
def test_a_list_of_words_is_parsed(answer, words):
    assert parse_emotions(answer) == words


def test_a_sentence_without_a_list_gives_its_words_with_repeats():
    answer = "I'll say, assistant: the man felt the loss | 100"
    assert parse_emotions(answer) == ["Say", "The", "Man", "Felt", "The", "Loss"]


@pytest.mark.parametrize("answer", ["", "悲伤", "1 2 3", "a b"])
def test_no_emotion_is_neutral(answer):
    assert parse_emotions(answer) == ["Neutral"]


@pytest.mark.parametrize(
    "answer",
    ["", " \n", "Please provide the Chinese text, and I'll analyze it for you!", "I'm sorry, but I can't do that.", "I cannot help.",
     "As an AI language model, I have no feelings.", "Sorry, but there is no text.", "I’m happy to help!"],
)  # fmt: skip
def test_refusals_and_requests_are_seen(answer):
    assert is_refusal(answer)


@pytest.mark.parametrize("answer", ["sorry | regret", "Sorry", "happy | glad", "please | hope", "Helplessness, unable"])
def test_emotions_named_in_a_refusal_are_kept(answer):
    assert not is_refusal(answer)


def test_a_run_counts_a_word_once_and_frequent_words_come_first():
    assert list(merge_runs([["Joy", "Calm", "Joy"], ["Calm"], ["Hope"]]).items()) == [("Calm", 2), ("Joy", 1), ("Hope", 1)]
    assert merge_runs([]) == {}


@pytest.mark.parametrize(
    "forms",
    ["Frustration Frustrated Frustrating", "Curiosity Curious", "Disappointment Disappointed", "Confusion Confused", "Anxiety Anxious",
     "Surprise Surprised", "Hope Hopeful Hopefulness", "Worry Worried", "Mystery Mysterious", "Sincere Sincerity"],
)  # fmt: skip
def test_the_forms_of_a_word_are_one_family(forms):
    assert len({word_family(word) for word in forms.split()}) == 1


@pytest.mark.parametrize(
    "words", ["Hope Hopeless", "Content Contempt", "Passion Passive", "Sad Satisfied", "Pride Pity", "Care Careless", "Joy Job"]
)
def test_other_words_are_different_families(words):
    one, other = words.split()
    assert word_family(one) != word_family(other)


PAIRS = [
    ("Frustration", "Frustrated"), ("Curiosity", "Curious"), ("Disappointment", "Disappointed"), ("Confusion", "Confused"),
    ("Anxiety", "Anxious"), ("Surprise", "Surprised"), ("Hope", "Hopeful"),
]  # fmt: skip


def test_all_770_real_answers_parse_as_the_source_parsed_them(realdata):
    runs = [json.loads(path.read_text("utf-8")) for path in (realdata / "introspection").glob("inference_results/raw_outputs/*/*.json")]
    assert len(runs) == 770
    assert [run["question_id"] for run in runs if parse_emotions(run["raw_model_output"]) != run["parsed_emotions"]] == []
    assert {run["question_id"] for run in runs if is_refusal(run["raw_model_output"])} == {"sample_00000258"}
    assert sum(is_refusal(run["raw_model_output"]) for run in runs) == 10


def test_all_77_real_merged_files_count_as_the_source_counted(realdata):
    results = realdata / "introspection" / "inference_results"
    runs = defaultdict(list)
    for path in results.glob("raw_outputs/*/*.json"):
        run = json.loads(path.read_text("utf-8"))
        runs[run["question_id"]].append(parse_emotions(run["raw_model_output"]))
    merged = [json.loads(path.read_text("utf-8")) for path in results.glob("merged_results/*.json")]
    assert len(merged) == 77
    for question in merged:
        statistics = question["emotion_statistics"]
        counts, total = merge_runs(runs[question["question_id"]]), statistics["total_runs"]
        assert total == len(runs[question["question_id"]])
        assert statistics["unique_emotions"] == len(counts)
        assert statistics["emotion_details"] == {
            word: {"count": count, "frequency": round(count / total, 3), "percentage": round(count / total * 100, 1)}
            for word, count in counts.items()
        }


def test_the_real_pairs_of_word_forms_are_found(realdata):
    pairs = defaultdict(int)
    for path in (realdata / "introspection").glob("inference_results/merged_results/*.json"):
        words = json.loads(path.read_text("utf-8"))["emotion_statistics"]["emotion_details"]
        for first, second in PAIRS:
            assert word_family(first) == word_family(second)
            pairs[first] += first in words and second in words
    assert dict(pairs) == {
        "Frustration": 11, "Curiosity": 9, "Disappointment": 4, "Confusion": 4, "Anxiety": 3, "Surprise": 2, "Hope": 2,
    }  # fmt: skip
