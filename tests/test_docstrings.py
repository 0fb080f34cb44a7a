"""A public function that raises UserError says so in its docstring; a command's docstring is its help, and says what it does."""

import ast
import re
from collections.abc import Iterator

from .support.paths import ROOT

Function = ast.FunctionDef | ast.AsyncFunctionDef


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of the functions and classes in it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            yield node
            yield from own_nodes(node)


def raised(function: Function) -> set[str]:
    """The names of the classes of errors that the function itself raises."""
    errors = [node.exc for node in own_nodes(function) if isinstance(node, ast.Raise) and node.exc]
    called = [error.func if isinstance(error, ast.Call) else error for error in errors]
    return {error.id for error in called if isinstance(error, ast.Name)}


def is_command(function: Function) -> bool:
    return any("click.command" in ast.unparse(decorator) for decorator in function.decorator_list)


def undocumented(source: str) -> list[str]:
    """The public functions that raise UserError without a word of it."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, Function)]
    public = [function for function in functions if not function.name.startswith("_") and not is_command(function)]
    raising = [function for function in public if raised(function) & {"UserError", "GateError"}]
    return [function.name for function in raising if not re.search(r"Raises? (UserError|GateError)", ast.get_docstring(function) or "")]


def test_functions_that_raise_user_errors_say_so() -> None:
    files = [path for room in ("schemas", "converters", "runner") for path in (ROOT / room).rglob("*.py")]
    found = {str(path.relative_to(ROOT)): names for path in files if (names := undocumented(path.read_text("utf-8")))}
    assert found == {}


def test_an_undocumented_raise_is_found() -> None:
    body = "    raise UserError('no')"
    assert undocumented(f"def read():\n{body}") == ["read"]
    assert undocumented(f"def read():\n    '''Read. Raises UserError if it is damaged.'''\n{body}") == []
    assert undocumented("def read():\n    def inner():\n        raise UserError('no')") == ["inner"]
