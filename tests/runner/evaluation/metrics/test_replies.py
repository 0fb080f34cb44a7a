"""Stop rate, length, repetition and emoji of replies. By hand."""

import pytest
from recipekit.runner.evaluation.metrics import Prediction, metric

emoji_rate, repetition, reply_tokens, stop_rate = map(metric, ("emoji_rate", "repetition", "reply_tokens", "stop_rate"))


def case(reply="", stopped=True, tokens=0):
    return Prediction("1", "", reply, stopped, tokens, 0.0, 0, 0)


def over(measure, *cases):
    numerators, denominators = zip(*map(measure.row_stats, cases), strict=True)
    return measure.aggregate(sum(numerators), sum(denominators))


def test_stop_rate_is_the_share_of_replies_that_end_on_their_own():
    assert over(stop_rate, case(), case(stopped=False), case(), case()) == 75


@pytest.mark.parametrize(
    ("answer", "reply", "found"),
    [
        ("Paris", "It is paris!", True),
        ("Paris", "By comparison ✅", False),
        ("144", "12 x 12 = 144.", True),
        ("144", "1440", False),
        ("C++", "Use C++, please", True),
        (".*", "anything", False),
        ("北京", "中国的首都是北京市", True),
        ("Joy", "", False),
        ("да", "Когда?", False),
        ("да", "Да.", True),
        ("resum", "resumé", False),
        ("ι", "ναι", False),
        ("résumé", "Mon re\u0301sume\u0301.", True),
        ("3", "Pi is 3.14", False),
        ("1", "1,000 of them", False),
        ("000", "1,000 of them", False),
        ("3", "3×4", True),
        ("4", "<think>Is it 4? No.</think>5", False),
        ("<think>Two and two.</think>4", "Is it 5? No.\n</think>\n\nIt is 4.", True),
    ],
)
def test_an_answer_is_found_as_a_whole_word_in_any_case(answer, reply, found):
    row = case(reply)._replace(reference=answer)
    assert metric("contains_reference").row_stats(row) == (found, 1)


def test_reply_tokens_is_the_mean_length():
    assert over(reply_tokens, case(tokens=1), case(tokens=6)) == 3.5


@pytest.mark.parametrize(
    ("reply", "repeated", "all_of_them"),
    [
        ("", 0, 0),
        ("one two three", 0, 0),
        ("one two three four", 0, 1),
        ("a b c d a b c d", 1, 5),
        ("a a a a a", 1, 2),
        ("a " * 10, 6, 7),
        ("a b  c\nd\ta b c d", 1, 5),
        ("A b c d a b c d", 0, 5),
        ("我很好。我很好。", 1, 5),
    ],
)
def test_repetition_counts_word_4_grams_that_were_there_before(reply, repeated, all_of_them):
    assert repetition.row_stats(case(reply)) == (repeated, all_of_them)


def test_repetition_is_in_percent_and_short_replies_have_none_to_count():
    assert over(repetition, case("a b c d a b c d"), case("hi")) == 20


@pytest.mark.parametrize(
    ("reply", "count"),
    [
        ("no emoji, only 1 # and * and :) and →", 0),
        ("done ✅", 1),
        ("🌙🌙", 2),
        ("a family 👨‍👩‍👧‍👦 is one", 1),
        ("a flag 🇩🇪 is one, two 🇩🇪🇫🇷 are two", 3),
        ("a skin tone 👍🏽 is part of it", 1),
        ("a heart ❤️ with its selector", 1),
        ("a keycap 1️⃣ is one", 1),
        ("a trademark™, a © and an ↔ are text", 0),
        ("a trademark™️ with its selector", 1),
        ("hearts on fire ❤️‍🔥 ❤‍🔥", 2),
    ],
)
def test_emoji_are_counted_as_people_see_them(reply, count):
    pytest.importorskip("emoji", reason="needs the extra [data]: emoji")
    assert emoji_rate.row_stats(case(reply)) == (count, 1)


def test_emoji_rate_is_the_mean_over_replies():
    pytest.importorskip("emoji", reason="needs the extra [data]: emoji")
    assert over(emoji_rate, case("✅✅✅"), case("none")) == 1.5
