"""Tables and bars colour text and move the cursor themselves; what data holds does neither."""

import ast
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.schemas.base.screen import Screen
from recipekit.schemas.base.terminal import BAD, GOOD, HINT, WARNING
from rich.color import Color
from rich.table import Table
from rich.text import Text

from ...support.paths import ROOT

EVIL = "\x1b[2J\x1b[31mred\x1b[0m \x1b]0;t\x07 \r\u202e [bold]x[/bold] [/x] :smiley:"


def printed(*renderables, width: int = 200) -> str:
    screen = io.StringIO()
    Screen(file=screen, force_terminal=True, color_system="truecolor", width=width).print(*renderables, style="on blue")
    return screen.getvalue()


def test_strings_texts_cells_and_titles_are_escaped_and_no_markup() -> None:
    table = Table(EVIL, title=EVIL, caption=EVIL)
    table.add_row(EVIL)
    table.add_row(Text(EVIL))
    for renderable in (EVIL, Text(EVIL), table):
        shown = printed(renderable)
        assert "\x1b[2J" not in shown and "\x1b[31m" not in shown and "\\x1b[2J" in shown and "[bold]x[/bold] [/x] :smiley:" in shown


def luminance(colour: tuple[int, ...]) -> float:
    """The relative luminance of WCAG 2."""
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("number", [GOOD, BAD, WARNING, HINT])
def test_colours_are_readable_on_white_and_on_black(number: int) -> None:
    light = luminance(tuple(Color.from_ansi(number).get_truecolor()))
    assert 1.05 / (light + 0.05) >= 3.9 and (light + 0.05) / 0.05 >= 3.9


@given(st.text())
def test_cells_never_write_control_characters(text: str) -> None:
    table = Table("head")
    table.add_row(text)
    screen = io.StringIO()
    Screen(file=screen, width=60).print(table, text, Text(text))
    assert all(c == "\n" or unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp") for c in screen.getvalue().replace("\t", " "))


def test_there_is_one_console_one_styled_echo_and_one_csv_writer() -> None:
    """So that nobody can forget to escape."""
    wanted = {"Console": set(), "style": set(), "secho": set(), "writer": set()}
    for path in (path for room in ("schemas", "converters", "runner") for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                owner = node.func.value.id if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) else ""
                if name in wanted and owner in ("", "click", "csv", "console", "rich"):
                    wanted[name].add(path.relative_to(ROOT).as_posix())
    assert wanted == {"Console": set(), "style": {"schemas/base/terminal.py"}, "secho": set(), "writer": {"schemas/base/terminal.py"}}
