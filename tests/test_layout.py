"""The layout of sources and tests: a name with an underscore is used in its file only; a folder of tests for each folder of the sources,
shared helpers in tests/support, and no test module that needs another."""

import ast
from collections.abc import Iterator
from pathlib import Path

from .support.paths import ROOT

TESTS = ROOT / "tests"
SUPPORT = TESTS / "support"
FILES = sorted(path for path in TESTS.rglob("*.py") if "examples" not in path.relative_to(TESTS).parts)


def imported(path: Path) -> Iterator[str]:
    """The names of all modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)


def test_private_names_are_used_only_in_their_file() -> None:
    sources = [path for folder in ("schemas", "converters", "runner") for path in (ROOT / folder).rglob("*.py")]
    lines = {path: [name for name in imported(path) if name.rpartition(".")[2].startswith("_")] for path in sources}
    assert {path: names for path, names in lines.items() if any(not name.startswith("__future__") for name in names)} == {}


def test_helpers_are_in_support() -> None:
    elsewhere = [path for path in FILES if not path.is_relative_to(SUPPORT)]
    assert [path for path in elsewhere if path.name not in ("__init__.py", "conftest.py") and not path.name.startswith("test_")] == []


def test_no_test_module_is_imported() -> None:
    parts = {path: {part for name in imported(path) for part in name.split(".")} for path in FILES}
    assert [path for path, found in parts.items() if any(part.startswith("test_") or part == "conftest" for part in found)] == []


def test_folders_mirror_the_sources() -> None:
    folders = {path.parent.relative_to(TESTS) for path in FILES if path.name.startswith("test_")}
    assert [folder for folder in sorted(folders) if not (ROOT / folder).is_dir()] == []
