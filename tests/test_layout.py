"""The layout of sources and tests: a name is imported from the file that defines it, and with an underscore from none; a folder of tests for
each folder of the sources, shared helpers in tests/support, and no test module that needs another."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .support.paths import ROOT

TESTS = ROOT / "tests"
SUPPORT = TESTS / "support"
SOURCES = [path for folder in ("schemas", "converters", "runner") for path in (ROOT / folder).rglob("*.py")]
FILES = sorted(path for path in TESTS.rglob("*.py") if "examples" not in path.relative_to(TESTS).parts)


def imported(path: Path) -> Iterator[str]:
    """The names of all modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)


def test_private_names_are_used_only_in_their_file() -> None:
    lines = {path: [name for name in imported(path) if name.rpartition(".")[2].startswith("_")] for path in SOURCES}
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


@cache
def imports_and_names(path: Path) -> tuple[list[ast.ImportFrom], set[str]]:
    """What a file imports from others, and the names that it defines; for a package also its modules."""
    nodes = list(ast.walk(ast.parse(path.read_bytes())))
    names = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    modules = {below.stem for below in path.parent.iterdir()} if path.name == "__init__.py" else set()
    return [node for node in nodes if isinstance(node, ast.ImportFrom)], names | modules


def test_names_are_imported_from_the_file_that_defines_them() -> None:
    elsewhere = []
    for path in SOURCES:
        for node in imports_and_names(path)[0]:
            target = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            file = next((file for file in (target.with_suffix(".py"), target / "__init__.py") if node.level and file.is_file()), None)
            names = imports_and_names(file)[1] if file else {alias.name for alias in node.names}
            elsewhere += [f"{path.relative_to(ROOT)}: {alias.name}" for alias in node.names if alias.name not in names]
    assert elsewhere == []
