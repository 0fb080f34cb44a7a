"""Files that are made by tests: UPDATE_GOLDEN=1 writes them."""

import os
from collections.abc import Iterable
from pathlib import Path


def golden(path: Path, text: str) -> str:
    """The text of the file, with UPDATE_GOLDEN=1 after writing it."""
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def markdown_row(cells: Iterable[str]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
