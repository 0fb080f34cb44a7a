"""Every table at 80 and 140 columns: each word is whole, no line is wider than the terminal."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.runner.reporting.tables import print_columns
from recipekit.schemas.base.screen import Screen

WORD = st.text("abcdefgh-0123456789", min_size=1, max_size=24)
CELL = st.lists(WORD, max_size=6).map(" ".join)


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    heads = draw(st.lists(st.lists(WORD, min_size=1, max_size=3).map(" ".join), min_size=2, max_size=8, unique=True))
    rows = draw(st.integers(0, 4))
    columns = {head: draw(st.lists(CELL, min_size=rows, max_size=rows)) for head in heads}
    return {heads[0]: columns.pop(heads[0])}, columns


@pytest.mark.parametrize("width", [80, 140])
@given(table=tables())
def test_no_word_is_cut_and_no_line_is_too_wide(width: int, table: tuple[dict[str, list[str]], dict[str, list[str]]]) -> None:
    keys, columns = table
    screen = Screen(width=width, file=io.StringIO())
    print_columns(keys, columns, screen)
    shown = screen.file.getvalue()
    wanted = {word for part in table for head, cells in part.items() for text in (head, *cells) for word in text.split()}
    assert wanted <= set(shown.split())
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= width


def test_cells_wrap_only_as_far_as_the_width_asks() -> None:
    screen = Screen(width=80, file=io.StringIO())
    change = "+0.000, no significant difference"
    print_columns({"metric": ["stop rate (%)"]}, {"base": ["1 [0, 2]"], "tuned": ["1 [0, 2]"], "change": [change]}, screen)
    assert change in screen.file.getvalue()


def test_a_table_is_text_and_not_markup() -> None:
    screen = Screen(width=80, file=io.StringIO())
    screen.print_table({"[red]a": ["[/x] b"]})
    assert "[red]a" in screen.file.getvalue() and "[/x] b" in screen.file.getvalue()
