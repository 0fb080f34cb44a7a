"""Tables: every row is a mapping or a drop with its line; a broken one takes none of the others with it."""

import csv
import io
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.reading import bounded_lines, delimited
from recipekit.converters.reading.delimited import read_csv
from recipekit.converters.reading.records import Drop
from recipekit.schemas.base.errors import UserError

from ...support.counting import within_lines

read_tsv = partial(read_csv, delimiter="\t")


def read(text, reader=read_csv):
    return list(reader(io.BytesIO(text if isinstance(text, bytes) else text.encode()), "t.csv"))


def results(items):
    """Rows as their values' tuple, drops as their reason, each after its line."""
    return [(i.row.line, i.reason) if isinstance(i, Drop) else (i.line, *i.value.values()) for i in items]


def test_rows_are_mappings_with_the_line_on_which_they_begin():
    items = read('a,b\n1,"two\nlines"\n3,4\n')
    assert items[0].value == {"a": "1", "b": "two\nlines"}
    assert results(items) == [(2, "1", "two\nlines"), (4, "3", "4")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('"x" y,2', "invalid_csv"),
        ("1,2,3", "ragged_row"),
        ("1", "ragged_row"),
        (b"1,\xff", "not_utf8"),
        (b"1,\0", "nul_byte"),
        ("1,字".encode("gb18030"), "not_utf8"),
    ],
)
def test_a_bad_row_costs_that_row_only(row, reason):
    text = b"a,b\n1,2\n" + (row if isinstance(row, bytes) else row.encode()) + b"\n3,4\n5,6\n"
    assert results(read(text)) == [(2, "1", "2"), (3, reason), (4, "3", "4"), (5, "5", "6")]


def test_rows_after_many_bad_ones_are_read():
    text = "a,b\n" + "".join(f'{n},"x"y\n{n},good\n' for n in range(1000))
    found = results(read(text))
    assert len(found) == 2000
    assert sum(item[1] == "invalid_csv" for item in found) == 1000
    assert found[-1] == (2001, "999", "good")


def test_a_quote_that_is_never_closed_costs_its_row_only():
    text = 'a,b\n1,2\n3,"open\n' + "".join(f"{n},x\n" for n in range(500))
    found = results(read(text))
    assert found[:3] == [(2, "1", "2"), (3, "invalid_csv"), (4, "0", "x")]
    assert len(found) == 502


def test_a_quote_that_a_later_row_seems_to_close_costs_its_row_only():
    assert results(read('a,b\n1,"open\n2,x\n3,"y"\n4,z\n')) == [(2, "invalid_csv"), (3, "2", "x"), (4, "3", "y"), (5, "4", "z")]


def test_a_quote_in_the_text_does_not_merge_rows():
    text = 'text\tlabel\n"Hello\t1\nin between\t0\nbye"\t1\nlast\t0\n'
    assert results(read(text, read_tsv)) == [(2, "ambiguous_quotes"), (3, "in between", "0"), (4, 'bye"', "1"), (5, "last", "0")]


def test_a_cell_of_several_lines_is_a_cell():
    text = 'text\tlabel\n"one\ntwo"\t1\nlast\t"three\n\nfour"\n'
    assert results(read(text, read_tsv)) == [(2, "one\ntwo", "1"), (4, "last", "three\n\nfour")]


@given(st.lists(st.tuples(st.text('ab" ', min_size=1, max_size=6), st.sampled_from("01")), max_size=12))
def test_unquoted_rows_are_read_or_counted_whatever_quotes_their_texts_hold(rows):
    text = "text\tlabel\n" + "".join(f"{line}\t{label}\n" for line, label in rows)
    assert [item[0] for item in results(read(text, read_tsv))] == list(range(2, len(rows) + 2))


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_repeated_header_is_not_a_row(mark):
    assert results(read(f"a,b\n1,2\n{mark}a,b\na,2\n")) == [(2, "1", "2"), (3, "repeated_header"), (4, "a", "2")]


def test_a_quote_behind_a_backslash_is_named():
    (found,) = read('a,b\n"He said \\"hi\\" again",x\n')
    assert found.reason == "invalid_csv" and found.detail.endswith('a quote within a cell is written "", not \\"')


@pytest.mark.parametrize("closed", ['12"', '12",x', 'x,12"'])
@pytest.mark.parametrize("opened", ['"Big, 12', '7,"Big', 'x,"'])
@pytest.mark.parametrize(("delimiter", "rows"), [(",", 20), ("\t", 3), (";", 3)])
def test_a_quote_closed_by_chance_does_not_merge_rows(opened, closed, delimiter, rows):
    between = "".join(f"{n},row {n}\n" for n in range(rows))
    text = f"a,b\n1,2\n{opened}\n{between}{closed}\nlast,one\n".replace(",", delimiter)
    found = results(read(text, partial(read_csv, delimiter=delimiter)))
    assert found[:2] == [(2, "1", "2"), (3, "ambiguous_quotes")]
    assert found[2 : rows + 2] == [(n + 4, str(n), f"row {n}") for n in range(rows)]
    assert found[-1] == (rows + 5, "last", "one") and len(found) in (rows + 3, rows + 4)


@pytest.mark.parametrize("text", ["Dear all,\n\nwe met, we ate.\n\nYours, Ann\n", "one\ntwo\nthree, four, five\n" * 50, "no comma\n" * 500])
def test_text_of_many_lines_is_a_cell(text):
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("a", "b"), ("1", text), (text, "2")])
    assert results(read(out.getvalue())) == [(2, "1", text), (2 + text.count("\n") + 1, text, "2")]


def test_a_row_that_continues_for_too_long_costs_that_row_only(monkeypatch):
    monkeypatch.setattr(delimited, "MAX_ROW", 1000)
    text = 'a,b\n1,"open\n' + "".join(f"{n},x\n" for n in range(500)) + "y" * 5000 + ",z\nlast,one\n"
    found = results(read(text))
    assert found[0] == (2, "row_too_long")
    assert found[1:501] == [(n + 3, str(n), "x") for n in range(500)]
    assert found[501:] == [(503, "row_too_long"), (504, "last", "one")]


def test_a_line_beyond_the_cap_is_dropped_whatever_characters_it_has(monkeypatch):
    """A cut line must not pass for a short one: a character may take four bytes."""
    monkeypatch.setattr(bounded_lines, "MAX_LINE", 4000)
    monkeypatch.setattr(bounded_lines, "READ_BYTES", 64)
    monkeypatch.setattr(delimited, "MAX_ROW", 1000)
    found = results(read("a,b\n1," + "💻" * 5000 + "\n2,x\n"))
    assert found == [(2, "row_too_long"), (3, "2", "x")]


def test_repeated_rereading_is_bounded(monkeypatch):
    """A line of this kind opens a quote, and does not close one that is open: each reads on to the end of the file."""
    monkeypatch.setattr(delimited, "REREAD", 1 << 20)
    text = "a,b\n" + 'x","""\n' * 20_000
    found = within_lines(100 * 20_000, lambda: results(read(text)))
    assert [line for line, _ in found] == list(range(2, 20_002))
    assert {reason for _, reason in found} == {"invalid_csv"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_as_they_do_anywhere(end):
    assert results(read(end.join(["a,b", "1,2", '"3",4', ""]))) == [(2, "1", "2"), (3, "3", "4")]


@pytest.mark.parametrize("marks", [1, 2])
def test_a_byte_order_mark_is_not_part_of_the_header(marks):
    assert read(b"\xef\xbb\xbf" * marks + b"a,b\n1,2\n")[0].value == {"a": "1", "b": "2"}


def test_tabs_part_cells_too_and_blank_lines_are_not_rows():
    assert results(read("a\tb\n\n1,5\t2\n\n", read_tsv)) == [(3, "1,5", "2")]


def test_a_table_without_a_header_takes_the_declared_columns():
    items = read("1,2\n3\n4,5\n", partial(read_csv, columns=("a", "b")))
    assert items[0].value == {"a": "1", "b": "2"} and results(items) == [(1, "1", "2"), (2, "ragged_row"), (3, "4", "5")]


@pytest.mark.parametrize("header", ["a,b", "A, b"])
def test_declared_columns_that_are_the_header_are_refused(header):
    with pytest.raises(UserError, match="t.csv:1: the first row is a header"):
        read(f"{header}\n1,2\n", partial(read_csv, columns=("a", "b")))


def test_formulas_are_unchanged():
    assert read("a\n=1+1\n@cmd\n")[0].value == {"a": "=1+1"}


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"a,b,a", "the same column twice"),
        ("名,b".encode("gb18030"), "is not UTF-8"),
        (b"a\0,b", "NUL"),
        (b'"a"b,c', "cannot be read"),
        (b",".join(b"%d" % n for n in range(20_000)), "20,000 columns"),
    ],
)
def test_an_unusable_header_is_refused(header, words):
    with pytest.raises(UserError, match=words) as caught:
        read(header + b"\n1,2\n")
    assert str(caught.value.problems[0].location) == "t.csv:1"


def test_an_empty_table_has_no_rows():
    assert read("") == read("a,b\n") == []


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6) | st.sampled_from(['"', '""', ",", "\n", "a\r\nb", "'"])


@given(st.lists(st.tuples(CELLS, CELLS), max_size=8), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), st.sampled_from(["\n", "\r\n"]))
def test_tables_from_python_round_trip(rows, quoting, end):
    if quoting == csv.QUOTE_MINIMAL:  # Python 3.11 does not quote a bare \r then
        rows = [tuple(cell.replace("\r", "") for cell in row) for row in rows]
    text = io.StringIO(newline="")
    csv.writer(text, quoting=quoting, lineterminator=end).writerows([("a", "b"), *rows])
    assert [tuple(row.value.values()) for row in read(text.getvalue())] == rows


GOOD = st.sampled_from(["1,2", '"q",x', "字,💻", '"a ""b""",c'])
BAD = st.sampled_from(['"x"y,2', "1,2,3", '1,"x"y', "one"])


@given(st.lists(st.tuples(st.booleans(), GOOD, BAD), max_size=30))
def test_bad_rows_among_good_ones_are_counted_one_by_one(rows):
    found = read("\n".join(["a,b", *(good if fine else bad for fine, good, bad in rows)]))
    assert [not isinstance(item, Drop) for item in found] == [fine for fine, _, _ in rows]


@given(st.text('",\n\rab', max_size=60))
def test_no_line_is_left_out_whatever_the_quotes(text):
    """Every physical line that is not blank lies in a row, or is a drop of its own."""
    found = read(b"h,g\n" + text.encode())
    lines = [item.row.line if isinstance(item, Drop) else item.line for item in found]
    assert lines == sorted(set(lines))
    letters = sum(cell.count("a") for item in found if not isinstance(item, Drop) for cell in item.value.values())
    assert letters <= text.count("a")
    if not any(isinstance(item, Drop) for item in found):
        assert letters == text.count("a")


@pytest.mark.parametrize("second", ["str,int", "string,int64", "VARCHAR(20),bigint", "----,:---:", "[text],(kg)", ",[kg]"])
def test_a_row_of_the_columns_types_or_units_is_not_a_row(second):
    assert results(read(f"a,b\n{second}\n1,2\n")) == [(2, "type_row"), (3, "1", "2")]


def test_lines_in_which_surveys_describe_their_columns_are_no_rows():
    qualtrics = 'a,b\n"What is it?","And why?"\n"{""ImportId"":""QID1_TEXT""}","{""ImportId"":""QID2""}"\n1,2\n'
    assert results(read(qualtrics)) == [(2, "What is it?", "And why?"), (3, "type_row"), (4, "1", "2")]
    assert results(read("a,b,c\n,Open-Ended Response,Response\n1,2,3\n")) == [(2, "type_row"), (3, "1", "2", "3")]


def test_words_that_are_types_too_are_data_elsewhere():
    assert results(read("a,b\ntext,good\nstr,int\n")) == [(2, "text", "good"), (3, "str", "int")]
    assert results(read("a\nobject\n")) == [(2, "object")]
