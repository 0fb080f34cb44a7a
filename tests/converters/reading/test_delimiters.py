"""The delimiter is the one on which the first lines agree; texts that only look like tables are not read as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.reading.delimiters import is_headerless, is_table, lines_above, table_format

LOG = b"2025-07-14 22:28:27,858 - Starting\n2025-07-14 22:28:38,993 - Question 1\n2025-07-14 22:28:50,672 - Question 2\n"
PROSE = b"It rained for three days, then not\nThe sun was out, we left\nHe came, too late for us\n"
README = b"# Data\n\nThese rows, collected in May, are ours.\nPlease ask, before you use them, and cite us.\n"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"a,b\n1,2\n3,4\n", "csv"), (b"a;b\n1;2\n3;4\n", "csv with semicolons"), (b"a\tb\n1\t2\n", "tsv"), (b"a|b|c\n1|2|3\n", "csv with pipes"),
        (b"text;label\nwell, yes, no;x\nyes, no;y\n", "csv with semicolons"), (b'a,b\n"x;y",2\n"z;w",3\n', "csv"),
        (b'\xef\xbb\xbftext;price\n"one\ntwo; three";1,5\nfour;2,5\n', "csv with semicolons"), (b"a,b\r\n1,2\r\n", "csv"),
        (b"type,posts\nINTJ,'a|||b|||c'\nENFP,'d|||e|||f'\n", "csv"), (b"text\nno comma here\n", "csv"), (b"a,b\n", "csv"), (b"", "csv"),
        (b"text\tnote\nwell, yes\tx\na, b, c\ty\n", "tsv"),
    ],
)  # fmt: skip
def test_the_delimiter_is_the_one_that_gives_rows_of_one_length(head, kind):
    assert table_format(head) == kind


def test_the_default_wins_a_tie():
    assert table_format(b"a,b\tc\n1,2\t3\n", "tsv") == "tsv"
    assert table_format(b"a,b\tc\n1,2\t3\n", "csv") == "csv"


@pytest.mark.parametrize("head", [b"a,b\n1,2\n", b'"id";"text"\n1;"x"\n', b",raw,predict\n0,x,y\n1,z,w\n"])
def test_a_table_has_names_above_rows_of_as_many_cells(head):
    assert is_table(head)


@pytest.mark.parametrize("head", [LOG, README, PROSE, b"one line\nanother\n", b"", b"1,2\n3,4\n", b"a,b\n1\n2\n3\n"])
def test_logs_notes_and_tables_without_names_are_none(head):
    assert not is_table(head)


def test_a_row_that_is_cut_at_the_end_of_the_head_does_not_count():
    head = b"a,b\n" + b'"' + b"x" * (1 << 16)
    assert table_format(head[: 1 << 16]) == "csv"


def test_real_logs_are_not_tables_and_real_tables_are(realdata):
    heads = {path: path.read_bytes()[: 1 << 16] for path in realdata.rglob("*") if path.suffix in (".csv", ".log", ".md", ".txt")}
    tables = {path.name for path, head in heads.items() if is_table(head)}
    assert {path.name for path in heads if path.suffix == ".log"} & tables == set()
    assert {"subtitles.csv", "formatted_for_training.csv", "babylm_7labels.csv"} <= tables
    assert not [name for name in tables if not name.endswith(".csv")]


@pytest.mark.parametrize(
    ("head", "lines"),
    [
        (b"question,answer\nWhy?,So.\nHow?,So.\n", 0),
        (b"sep=;\nquestion;answer\nWhy?;So.\nHow?;So.\n", 1),
        (b"sep=;\ntext;label\nWell, yes;a\nYes, no;b\nNo, well;a\n", 1),  # commas divide the rows too
        (b"My questions\n\nquestion,answer\nWhy?,So.\nHow?,So.\n", 2),
        (b"My questions,,\nof May,,\n,,\nquestion,answer,by\nWhy?,So.,A\nHow?,,B\n", 3),  # as a sheet is exported
        (b'"A title\nof two lines",,\nquestion,answer,by\nWhy?,So.,A\nHow?,So.,B\n', 2),
        (b"#separator:tab\n#html:true\nWhy?\tSo.\nHow?\tSo.\nWho?\tAnn.\n", 2),
        (b"date;text;price\n1.5.;a, b;1,5\n2.5.;c, d;2,5\n", 0),
        (b",x,y\n0,1,2\n1,2,3\n", 0),
        (b"type,posts\nA,one,two,three,x,y\nB,one,two,three,x,y\nC,one,two,three,x,y\n", 0),
        (b"Exported,12.11.2026\nquestion,answer,by\nWhy?,So.,A\nHow?,So.,B\n", 1),
        (b"a,b\n1,\n2,3\n", 0),
        (b"One line, and more.\nAnother.\nA third, of three.\n", 0),
        (b"", 0),
    ],
)
def test_titles_and_notes_above_a_table_are_counted(head, lines):
    assert lines_above(head) == lines


@given(st.lists(st.lists(st.text("abc ", min_size=1).filter(str.strip), min_size=3, max_size=3), min_size=3, max_size=9), st.integers(0, 4))
def test_every_line_above_a_table_is_counted(rows, above):
    text = "A title,,\n" * above + "".join(",".join(row) + "\n" for row in rows)
    assert lines_above(text.encode()) == above


@pytest.mark.parametrize(
    ("head", "is_so"),
    [
        (b"good\tI like it\nbad\tI do not\ngood\tI like that\n", True),
        (b"Hi.\tSalut !\nRun.\tCours !\n", True),
        (b"text:Why?\tlabels:So.\ntext:How?\tlabels:Thus.\n", True),
        (b"label\ttext\ngood\tI like it\nlabel\ttext\nbad\tI do not\n", False),  # files that were joined, each with its header
        (b"Timestamp,What is it?,Why?\nnow,a cat,so\n", False),
        (b"No.,Text.\n1,a cat\n2,a dog\n", False),
        (b"text,spam\nBuy it,spam\nHello,ham\n", False),
        (b",Review Text,Class Name\n0,a cat,x\n1,a dog,y\n", False),  # an index, as pandas writes it
        (b",It broke again.,x\n,a cat,x\n,a dog,y\n", True),
        (PROSE, True),
        (b"gj04\t0\t\tOur friends, alas, came.\ngj04\t1\t*\tThey came, alas, late.\n", True),  # of CoLA: commas divide it, too
        (b"text, label\na cat, x\na dog, y\n", False),
        (b"What is it?,spam\nBuy it,spam\nHello,ham\n", False),
    ],
)
def test_a_first_row_of_values_is_no_header(head, is_so):
    assert is_headerless(head) == is_so
