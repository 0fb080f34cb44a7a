"""Scripts by Unicode block; languages by a model that a wheel carries."""

import csv
from collections import Counter

import pytest
from recipekit.runner.inspection.text_statistics import language, main_script, scripts


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Hello, world 123", "Latin"), ("Größe naïve Łódź", "Latin"), ("你好，世界！ABC", "Han"), ("Привет, мир", "Cyrillic"),
        ("こんにちは世界", "Han and Kana"), ("カタカナ", "Kana"), ("안녕하세요", "Hangul"), ("नमस्ते", "Devanagari"),
        ("שלום", "Hebrew"), ("مرحبا", "Arabic"), ("Γειά σου", "Greek"), ("สวัสดี", "Thai"), ("123 …!? 🙂", "none"), ("", "none"),
    ],
)  # fmt: skip
def test_a_text_has_the_script_of_most_of_its_letters(text, script):
    assert main_script(scripts(text)) == script


def test_letters_and_emoji_are_counted_and_nothing_else():
    assert scripts("Hi 你 🙂🙂 1,2.") == Counter({"emoji": 2, "Latin": 2, "Han": 1})


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("I do not know what to say about this today.", "en"), ("这几年你知道我吃了多少苦承受了多大的压力知道吗", "zh"),
        ("Ich weiß nicht, was ich dazu sagen soll.", "de"), ("ok 🙂", "too short"), ("1234567890 1234567890", "too short"),
    ],
)  # fmt: skip
def test_a_language_is_detected_from_ten_letters_on(text, code):
    assert language(text, scripts(text)) == code


def test_real_subtitles_are_detected_correctly_nearly_always(realdata):
    with (realdata / "introspection" / "data" / "subtitles.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for column, codes in (("chinese", {"zh", "yue", "wuu"}), ("english", {"en"})):
        detected = [language(row[column], scripts(row[column])) for row in rows if row[column]]
        detected = [code for code in detected if code != "too short"]
        assert sum(code in codes for code in detected) >= 0.97 * len(detected)
        assert len(detected) > 60
