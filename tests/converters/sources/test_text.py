"""Plain text becomes documents, paragraphs or lines, and every one that is not blank becomes a record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.building.named_in_rows import NamedInRows
from recipekit.converters.building.row_account import convert_rows
from recipekit.converters.reading.records import Drop, Record, Row
from recipekit.converters.sources import text

LINES = ["", "It rained.", "For days.", "", "  ", "Then the river came.", ""]


def convert(lines, **options):
    """What becomes of the lines, none of which is lost."""
    return list(convert_rows("text", lines, "text", options))


def texts(sample_by, lines=LINES, file="a.txt"):
    return [record.fields["text"] for record in convert(rows(lines, file), sample_by=sample_by, keep_data=True)]


def rows(lines, file="a.txt"):
    return [Row(line, file, number) for number, line in enumerate(lines, 1)]


def test_a_document_is_a_stripped_file():
    assert texts("document") == ["It rained.\nFor days.\n\n  \nThen the river came."]


def test_paragraphs_are_parted_by_blank_lines():
    assert texts("paragraph") == ["It rained.\nFor days.", "Then the river came."]


def test_lines_are_what_is_not_blank():
    assert texts("line") == ["It rained.", "For days.", "Then the river came."]


@pytest.mark.parametrize("sample_by", ["document", "paragraph"])
def test_a_record_has_the_location_of_its_first_row(sample_by):
    found = convert([*rows(["", "one"], "a.txt"), *rows(["two"], "b.txt")], sample_by=sample_by)
    assert [(record.fields["text"], str(record.row)) for record in found] == [("one", "a.txt:2"), ("two", "b.txt:1")]


def test_a_blank_file_gives_nothing():
    assert convert(rows(["", " "])) == []


def test_a_document_that_is_too_long_is_dropped(monkeypatch):
    monkeypatch.setattr(text, "MAX_LINE", 50)
    first, second = convert([*rows(["x" * 30] * 3, "a.txt"), *rows(["short"], "b.txt")])
    assert isinstance(first, Drop) and (first.reason, str(first.row)) == ("text_too_long", "a.txt:1")
    assert second.fields["text"] == "short"


END = "<|endoftext|>"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["One.", "", "Two.", END, "Three.", END], [("One.\n\nTwo.", "1"), ("Three.", "5")]),
        (["One." + END, "Two.", "", END, END, "Three."], [("One.", "1"), ("Two.", "2"), ("Three.", "6")]),
        ([f"One.{END}Two.{END} {END}Three.", "Four."], [("One.", "1"), ("Two.", "1"), ("Three.\nFour.", "1")]),
        ([END + "One.", f"Two.{END}Three.{END}"], [("One.\nTwo.", "1"), ("Three.", "2")]),
    ],
)
def test_texts_end_at_the_separator_wherever_it_stands(lines, expected):
    found = convert(rows(lines), separators=[END])
    assert [(item.fields["text"], item.row.position) for item in found if isinstance(item, Record)] == expected
    assert all(item.filtered for item in found if isinstance(item, Drop))


def test_paragraphs_and_lines_end_at_the_separator_too():
    lines = ["One.", "Two." + END + "Three.", "", "Four."]
    assert [item.fields["text"] for item in convert(rows(lines), separators=[END], sample_by="paragraph")] == [
        "One.\nTwo.",
        "Three.",
        "Four.",
    ]
    assert [item.fields["text"] for item in convert(rows(lines), separators=[END], sample_by="line")] == ["One.", "Two.", "Three.", "Four."]


def test_several_separators_and_one_that_no_text_has():
    assert [item.fields["text"] for item in convert(rows(["<s>One.</s>", "<s>Two.</s>"]), separators=["<s>", "</s>"]) if isinstance(item, Record)] == [
        "One.", "Two.",
    ]  # fmt: skip
    named = NamedInRows({"separators": [END, "</s>"]})
    convert(rows(["One.", END]), **named.options)
    assert named.absent(named.present(())) == [["options.separators", "</s>"]]


@given(st.lists(st.text("ab |", max_size=9), max_size=9), st.sampled_from(["document", "paragraph", "line"]))
def test_no_word_is_lost_at_a_separator(lines, sample_by):
    found = convert(rows(lines), separators=["|"], sample_by=sample_by, keep_data=True)
    texts = [item.fields["text"] for item in found if isinstance(item, Record)]
    assert " ".join(texts).split() == " ".join(lines).replace("|", " ").split()
    if sample_by == "document":
        assert texts == [part.strip() for part in "\n".join(lines).split("|") if part.strip()]


@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), max_size=20)),
    st.sampled_from(["document", "paragraph", "line"]),
)
def test_no_word_is_lost_and_none_is_added(lines, sample_by):
    found = " ".join(texts(sample_by, lines)).split()
    assert found == " ".join(lines).split()


JSON_LINES = ['{"text": "It rained."}', '{"text": "For days."}']
DATA = {
    "JSON lines": JSON_LINES,
    "a JSON array": [f"[{', '.join(JSON_LINES)}]"],
    "a JSON array on lines": ["[", *JSON_LINES, "]"],
    "an indented object": ["{", '  "text": "It rained."', "}"],
    "an indented array": [" [ {", '  "text": "It rained."', "} ]"],
    "a CSV": ["id,text", "1,It rained.", "2,For days."],
    "HTML": ["<!DOCTYPE html>", "<p>It rained.</p>"],
    "XML": ['<?xml version="1.0"?>', "<p>It rained.</p>"],
    "RTF": ["{\\rtf1\\ansi It rained.\\par}"],
    "subtitles": ["WEBVTT", "", "00:01.000 --> 00:04.000", "It rained."],
    "SubRip's subtitles": ["1", "00:00:01,000 --> 00:00:04,000", "It rained."],
    "texts between tags": ['<doc id="12" url="https://example.org/12" title="Rain">', "It rained.", "</doc>"],
    "an archive of Twitter": ["window.YTD.tweets.part0 = [", '  {"tweet": {"full_text": "It rained."}}', "]"],
    "a table of Weka": ["@relation rain", "@attribute text string", "@data", "'It rained.'"],
    "a table of Weka with comments": ["% 1. Title: rain", "%", "@RELATION rain", "@DATA"],
    "tags alone": ["<Reviews>", '<Review id="1"><text>It rained.</text></Review>', "</Reviews>"],
    "rows of Python": ["{'text': 'It rained.', 'label': 1}"],
    "Substation Alpha": ["[Script Info]", "Title: rain", "Dialogue: 0,0:00:01.00,It rained."],
    "YouTube's subtitles": ["0:00:01.000,0:00:02.900", "It rained."],
    "MicroDVD": ["{10}{25}It rained."],
    "lyrics": ["[ti:Rain]", "[00:12.00]It rained."],
    "lyrics without a title": ["[00:12.00]It rained."],
    "SQL": ["-- MySQL dump 10.13", "", "CREATE TABLE rain (text TEXT);"],
    "SQL of Postgres": ["--", "-- PostgreSQL database dump", "--", "SET statement_timeout = 0;"],
    "YAML": ["- text: It rained.", "  label: bad"],
    "Rasa's YAML": ['version: "3.1"', "", "nlu:", "- intent: rain"],
    "Rasa's Markdown": ["## intent:rain", "- it rains"],
    "a module of JavaScript": ["module.exports = [", '  {"text": "It rained."}', "]"],
    "a list of Python": ["ROWS = [", "    ('It rained.', 'bad'),", "]"],
    "objects of JavaScript": ["[{text: 'It rained.', label: 'bad'},", " {text: 'For days.', label: 'bad'}]"],
    "TOML": ["[[rows]]", 'text = "It rained."'],
    "gettext": ["# German", 'msgid "It rained."', 'msgstr "Es regnete."'],
    "BibTeX": ["@article{rain,", "  title = {It rained}", "}"],
    "CHILDES": ["@UTF8", "@Begin", "*MOT:\tit rained ."],
    "trees of Penn": ["( (S (NP (PRP It)) (VP (VBD rained))))"],
    "trees of Stanford": ["(3 (2 It) (2 rained))"],
    "WebAnno": ["#FORMAT=WebAnno TSV 3.3", "", "#Text=It rained.", "1-1\t0-2\tIt\t_"],
    "LIBSVM": ["+1 3:0.5 7:1.25", "-1 2:1 9:0.5"],
    "a TSV": ["text\tlabel", "It rained.\t1"],
}


@pytest.mark.parametrize("sample_by", ["document", "paragraph", "line"])
@pytest.mark.parametrize("lines", DATA.values(), ids=DATA)
def test_a_data_file_is_refused_as_text(lines, sample_by):
    lines = ["", *lines]
    found = convert([*rows(["before"], "a.txt"), *rows(lines, "b.jsonl"), *rows(["after"], "c.txt")], sample_by=sample_by)
    assert [item.reason if isinstance(item, Drop) else item.fields["text"] for item in found] == ["before", "data_not_text", "after"]
    assert str(found[1]).startswith("b.jsonl:2: ")
    kept = convert(rows(lines), sample_by=sample_by, keep_data=True)
    assert all(isinstance(item, Record) for item in kept) and kept[0].fields["text"].startswith(lines[1].strip())


@pytest.mark.parametrize(
    "line",
    [
        "[1] See the preface.",
        "[She enters.]",
        "{braces} and more",
        "Rain, wind, snow",
        "and/or",
        "a|b c",
        "1",
        "<b>Rain</b> fell",
        "<3",
        "@home",
        "- text that begins a list: with a colon",
        "(She enters.)",
        "x = y, he said.",
        "[Verse 1]",
        "{note: it rained}",
        "(1) Rain (2 days)",
        "[00:12] Ann: It rained.",
        "% of all days",
        "SET in stone",
        "DROP it",
        "## Rain",
        "12 rainy days: 3:1",
        "-- It rained.",
        "{'tis the season}",
        "<p>Rain</p>",
    ],
)
def test_prose_that_begins_with_a_bracket_or_has_commas_is_text(line):
    assert [item.fields["text"] for item in convert(rows([line, "more"]))] == [f"{line}\nmore"]


NOTE = ["---", "title: Rain", "---", "", "It rained.", "---", "Then not."]


@pytest.mark.parametrize("sample_by", ["document", "paragraph", "line"])
def test_front_matter_is_one_drop_and_the_rest_is_kept(sample_by):
    drop, *records = convert(rows(NOTE), front_matter=False, sample_by=sample_by)
    assert (drop.reason, drop.filtered, str(drop.row)) == ("front_matter", True, "a.txt:1")
    assert "\n".join(record.fields["text"] for record in records) == "It rained.\n---\nThen not."
    assert convert(rows(NOTE))[0].fields["text"].startswith("---\ntitle: Rain")


@pytest.mark.parametrize("lines", [["---", "It rained."], ["It rained.", "---", "Then not.", "---"], ["---"]])
def test_a_line_of_dashes_is_not_front_matter(lines):
    assert [record.fields["text"] for record in convert(rows(lines), front_matter=False)] == ["\n".join(lines)]


def test_in_a_classification_the_folder_is_the_label():
    lines = [*rows(["Great."], "films/pos/1.txt"), *rows(["Dull."], "films/neg/1.txt"), *rows(["What?"], "1.txt")]
    found = convert_rows("text", lines, "classification", {})
    assert [record.fields for record in found] == [
        {"text": "Great.", "label": "pos"}, {"text": "Dull.", "label": "neg"}, {"text": "What?", "label": ""},
    ]  # fmt: skip
