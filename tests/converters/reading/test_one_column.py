"""Quotes in a table of one column."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.reading.delimited import read_csv
from recipekit.converters.reading.records import Drop

TEXTS = st.lists(st.text(alphabet='ab1 ,"\n', max_size=8).filter(str.strip), min_size=1, max_size=8)


def read(text):
    return [item.reason if isinstance(item, Drop) else item.value["text"] for item in read_csv(io.BytesIO(text.encode()), "t.csv")]


@pytest.mark.parametrize(
    "lines",
    [
        ('"To be or not to be"', "said Hamlet"),
        ("said Hamlet", '"To be or not to be"'),
        ('"I went home.', 'It rained."', 'She said "no".'),
        ('She said "no".', '"I went home.', 'It rained."'),
    ],
)
def test_quotes_that_a_text_may_own_are_not_taken_from_it(lines):
    assert "ambiguous_quotes" in read("\n".join(("text", *lines, "")))


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@given(TEXTS)
def test_a_table_written_by_a_program_is_read(quoting, texts):
    written = io.StringIO()
    csv.writer(written, quoting=quoting, lineterminator="\n").writerows([["text"], *([text] for text in texts)])
    assert read(written.getvalue()) == texts


def test_numbers_need_no_quotes():
    assert read('text\n"one"\n2\nnan\n"three"\n') == ["one", "2", "nan", "three"]
