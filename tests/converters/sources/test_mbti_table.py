"""The Kaggle CSV as people's copies of it are: each comes out right, or is refused with line and reason."""

import io

import pytest
from recipekit.converters.reading.records import Drop, Row
from recipekit.converters.sources.mbti_table import TableRow, joined_rows, read_posts
from recipekit.schemas.base.errors import UserError


def read(text: str, name: str = "kaggle.csv") -> list[tuple]:
    lines = [Row(line, name, number) for number, line in enumerate(text.split("\n"), 1)]
    return [
        (row.row.line, row.reason) if isinstance(row, Drop) else (row.line, *row.value) if row.value[2] else (row.line, *row.value[:2])
        for row in joined_rows(lines)
    ]


RIGHT = {
    "the Kaggle header": ("type,posts\nINFJ,\"'a|||b'\"", [(2, "INFJ", "'a|||b'")]),
    "the project's header": ("type,text\nINFJ,\"'a|||b'\"", [(2, "INFJ", "'a|||b'")]),
    "a quoted header": ('"type","posts"\n"INFJ","a"', [(2, "INFJ", "a")]),
    "no header": ('INFJ,"a"\nENTP,"b"', [(1, "INFJ", "a"), (2, "ENTP", "b")]),
    "a blank second line": ('type,posts\n\nINFJ,"a"', [(3, "INFJ", "a")]),
    "a doubled quote": ('INFJ,"she said ""no"", twice"', [(1, "INFJ", 'she said "no", twice')]),
    "a quoted empty field": ('INFJ,""', [(1, "INFJ", "")]),
    "an unquoted field": ("INFJ,a|||b", [(1, "INFJ", "a|||b")]),
    "a type in small letters": ('infj,"a"', [(1, "INFJ", "a")]),
    "tabs": ('type\tposts\nINFJ\t"a, b"', [(2, "INFJ", "a, b")]),
    "the numbered form over several lines": (
        'type,text\nINFJ,"1. a\n2. b\n\n3. c"\nENTP,"1. d"',
        [(2, "INFJ", "1. a\n2. b\n\n3. c"), (6, "ENTP", "1. d")],
    ),
    "a curly closing quote at the end": ("type,posts\nINFJ,\"'a|||b'”", [(2, "INFJ", "'a|||b'", ("closing_quote_added",))]),
    "a curly closing quote in the middle": (
        'INFJ,"a”\nENTP,"b"',
        [(1, "INFJ", "a", ("closing_quote_added",)), (2, "ENTP", "b")],
    ),  # fmt: skip
    "a curly quote inside": ('INFJ,"a “word” b"', [(1, "INFJ", "a “word” b")]),
}

REFUSED = {
    "a conflict marker before the header": ('<<<<<<< HEAD\ntype,posts\nINFJ,"a"', [(1, "conflict_marker"), (3, "INFJ", "a")]),
    "a whole conflict": (
        'type,posts\n<<<<<<< HEAD\nINFJ,"a"\n=======\nINFJ,"b"\n>>>>>>> theirs',
        [(2, "conflict_marker"), (3, "INFJ", "a"), (4, "conflict_marker"), (5, "INFJ", "b"), (6, "conflict_marker")],
    ),
    "an unterminated last field": ('INFJ,"a"\nENTP,"b|||c', [(1, "INFJ", "a"), (2, "unterminated_field")]),
    "an unterminated field costs its row only": ('INFJ,"a\nENTP,"b"', [(1, "unterminated_field"), (2, "ENTP", "b")]),
    "a third column": ('INFJ,"a",x', [(1, "ragged_row")]),
    "an unquoted comma": ("INFJ,a, b", [(1, "ragged_row")]),
    "a quote that is not doubled": ('INFJ,"a "b" c"', [(1, "invalid_csv")]),
    "an unknown type": ('INFJ,"a"\nINFX,"b"\nENTP,"c"', [(1, "INFJ", "a"), (2, "no_type"), (3, "ENTP", "c")]),
    "no type": ('type,posts\n,"b"', [(2, "no_type")]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_every_form_is_read(name):
    text, expected = RIGHT[name]
    assert read(text) == expected


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_line_and_reason(name):
    text, expected = REFUSED[name]
    assert read(text) == expected


@pytest.mark.parametrize("text", ["ENFJ\n,\n ,@user hello", "id,tweet\n1,hello", "\n\nhello", "posts,type\na,INFJ"])
def test_a_file_that_is_not_the_set_is_refused(text):
    with pytest.raises(UserError, match=r"kaggle\.csv:[13]: not the Kaggle MBTI dataset"):
        read(text)


def test_each_file_has_a_header_of_its_own():
    lines = [("a.csv", "type,posts"), ("a.csv", 'INFJ,"a'), ("b.csv", "type,posts"), ("b.csv", 'ENTP,"b"')]
    found = list(joined_rows(Row(line, name, 1) for name, line in lines))
    assert [row.reason if isinstance(row, Drop) else row.value for row in found] == ["unterminated_field", TableRow("ENTP", "b")]


def test_a_quote_that_never_closes_does_not_swallow_the_whole_file(monkeypatch):
    monkeypatch.setattr("recipekit.converters.sources.mbti_table._LONGEST", 1000)
    found = read('INFJ,"open\n' + "more text\n" * 500 + 'ENTP,"b"')
    assert found[0] == (1, "unterminated_field")
    assert found[-1] == (502, "ENTP", "b")
    assert {row[1] for row in found[1:-1]} == {"no_type"}


@pytest.mark.parametrize("bad", [b"\xff", b"a\0b", b"\xe5\xad"])
def test_a_line_that_cannot_be_read_costs_the_row_that_it_lies_in(bad):
    items = list(read_posts(io.BytesIO(b'type,posts\nINFJ,"a\n' + bad + b'\nb"\nENTP,"c"\n' + bad + b"\n"), "kaggle.csv"))
    assert isinstance(items[0], Drop)
    assert str(items[0]).endswith("in line 3")
    assert items[0].row.line == 2
    assert [item.value.type for item in items if isinstance(item, Row)] == ["ENTP"]
    assert isinstance(items[-1], Drop)
    assert items[-1].row.line == 6
