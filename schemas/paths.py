"""Resolve paths in a recipe: relative to the file that names them, `~`, and `${NAME}` of variables that the recipe declares.

`variables: [NAME]` takes the values from the environment; `variables: {NAME: value}` gives them in the recipe. A loaded recipe has the
second form, so that a run records every value. An unset variable is kept, and refused only when the path is used.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from .base.errors import MAX_PROBLEMS, Problem, UserError
from .values import value_at
from .yaml_source import Document, KeyPath

SUFFIXES = (".yml", ".yaml")
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_PROMPTS = (("generate", "prompt"), ("generate", "judge", "prompt"), ("evaluation", "judge", "prompt"))
_FILES = (("generate", "input"), ("evaluation", "prompts", "path"), ("evaluation", "blimp"), ("evaluation", "sentiment_prompts"))
_MODELS = (("model", "base_model"), ("evaluation", "sentiment_model"))
_JUDGES = (("generate", "judge", "provider"), ("evaluation", "judge", "provider"), ("evaluation", "rubric", "judges"))
_LOCAL = ("local", "classifier")  # providers whose model runs on this machine, and may be a folder


def absolute_paths(document: Document, folder: Path, at: KeyPath = ()) -> Document:
    """Make the paths at or below the key `at` absolute: they are relative to the file that names them, not to one that extends it."""
    home = os.path.abspath(folder)
    changes: dict[KeyPath, str] = {}
    for place, where in _paths(document.data):
        if place[: len(at)] == at[: len(place)]:
            if place[-1] in ("base_model", "sentiment_model", "model"):
                changes[place] = _absolute_model(where, home)
            elif "prompt" not in place[-2:] or Path(where).suffix in SUFFIXES:  # else a shipped prompt's name
                changes[place] = _absolute(where, home)
    return document._replace(data=_with_values(document.data, changes)) if changes else document


def expand_variables(document: Document) -> Document:
    """Replace declared variables in paths by their values. Raises UserError for an invalid declaration or value."""
    declared = document.data.get("variables") if isinstance(document.data, dict) else None
    names = dict.fromkeys(name for name in declared if isinstance(name, str)) if isinstance(declared, (list, dict)) else {}
    problems = [*_secrets(document, names)]
    known = os.environ if isinstance(declared, list) else declared or {}
    values = {name: known[name] for name in names if isinstance(known.get(name), str) and not problems}
    used: set[str] = set()
    changes: dict[KeyPath, str] = {}
    for place, where in [*_paths(document.data), *_matrix_paths(document.data)]:
        if "${" in where:
            used.update(_VARIABLE.findall(where))
            problems += _undeclared(document, place, where, names)
            path = changes[place] = _expanded(where, values)
            if where.startswith("${") and not path.startswith(("${", "/")):
                what = f"{where} is {path!r}, which is not an absolute path"
                problems.append(Problem(document.location(place), what, "a path that begins with a variable must be absolute", "variables"))
    data = _with_values(document.data, changes) if changes else document.data
    if isinstance(declared, list):
        unused = [name for name in names if name not in used][:MAX_PROBLEMS]
        problems += [Problem(document.location(("variables",)), f"no path uses ${{{name}}}", "remove it", "variables") for name in unused]
        data = {**data, "variables": values}
    if problems:
        raise UserError(*problems)
    return document._replace(data=data)


def _expanded(where: str, values: Mapping[str, str]) -> str:
    path = os.path.expanduser(_VARIABLE.sub(lambda name: values.get(name[1], name[0]), where))
    return os.path.normpath(path)


def _undeclared(document: Document, place: KeyPath, where: str, names: Collection[str]) -> Iterator[Problem]:
    for name in _VARIABLE.findall(where):
        if name not in names:
            hint = f"declare it in the recipe: variables: [{name}]" if name else "write ${NAME}"
            yield Problem(document.location(place), f"${{{name}}} is not a declared variable", hint, "variables")


def _secrets(document: Document, names: Collection[str]) -> Iterator[Problem]:
    """Yield a problem for each variable that is named like a secret: paths are shown, and recorded in the run."""
    if names:
        from .base.redact import is_secret_name  # most recipes have no variables

        for name in filter(is_secret_name, names):
            what = f"{name} is named like a secret, and values of variables are recorded in the run"
            yield Problem(document.location(("variables",)), what, "rename the variable", "variables")


def refuse_unset_variables(document: Document) -> None:
    """Raise UserError for a path with an unset environment variable."""
    problems = []
    for place, where in _paths(document.data):
        for name in _VARIABLE.findall(where):
            hint = f"export {name}=..., or --set 'variables={{{name}: ...}}'"
            problems.append(Problem(document.location(place), f"the environment variable {name} is not set", hint, "variables"))
    if problems:
        raise UserError(*problems)


def _paths(data: Any) -> Iterator[tuple[KeyPath, str]]:
    """Yield the recipe's paths, and the names of models and prompts, which may be paths, with their key paths."""
    for section in ((), ("smoke",)) if value_at(data, ("smoke",)) else ((),):
        sets = value_at(data, (*section, "evaluation", "also"))
        named = [("evaluation", "also", name) for name in sets] if isinstance(sets, dict) else []
        for at in [(*section, *inside, "sources") for inside in (("data",), *named)]:
            sources = value_at(data, at)
            for number, source in enumerate(sources if isinstance(sources, list) else ()):
                if isinstance(source, dict) and isinstance(where := source.get("path"), str) and where:
                    yield (*at, number, "path"), where
        for place in (*_FILES, *_PROMPTS, *_MODELS):
            yield from ((at, where) for at, where in _listed(data, (*section, *place)) if isinstance(where, str) and where)
        for place in (("generate", "providers"), *_JUDGES):
            for at, asked in _listed(data, (*section, *place)):
                if isinstance(asked, dict) and asked.get("provider") in _LOCAL and isinstance(where := asked.get("model"), str) and where:
                    yield (*at, "model"), where


def _listed(data: Any, place: KeyPath) -> list[tuple[KeyPath, Any]]:
    """Return the value at `place`, or each item of a list there, with its key path."""
    found = value_at(data, place)
    return [((*place, number), item) for number, item in enumerate(found)] if isinstance(found, list) else [(place, found)]


def _matrix_paths(data: Any) -> Iterator[tuple[KeyPath, str]]:
    """Yield the paths among the values of a matrix: what would be a path in the key that a value sets."""
    matrix = value_at(data, ("matrix",))
    for name, values in matrix.items() if isinstance(matrix, dict) else ():
        for number, value in enumerate(values if isinstance(values, list) else ()):
            at: KeyPath = ("matrix", name, number)
            settings: dict[str, Any] = value if "." not in name and isinstance(value, dict) else {name: value}
            for key, found in settings.items():
                parts = key.split(".")
                for part in reversed(parts):
                    found = [found] if part.isdecimal() else {part: found}
                place = at if settings is not value else (*at, key)
                yield from ((place + inside[len(parts) :], where) for inside, where in _paths(found))


def _absolute(where: str, folder: str) -> str:
    if where.startswith(("hf:", "generated:", "${", "~")):
        return os.path.expanduser(where)
    return os.path.normpath(os.path.join(folder, where))


def _absolute_model(name: str, folder: str) -> str:
    """Return a model's folder as an absolute path. A name that is not a folder is unchanged: it is a model on the Hub."""
    if name.startswith("~"):
        return os.path.expanduser(name)
    if name.startswith(("/", "${")) or ":" in name:
        return name
    place = os.path.normpath(os.path.join(folder, name))
    return place if name.startswith(".") or os.path.isdir(place) else name


def _with_values(data: Any, changes: Mapping[KeyPath, str]) -> Any:
    """Return a copy of `data` with these values."""
    inside = {place[:length] for place in changes for length in range(len(place))}

    def copy(value: Any, at: KeyPath) -> Any:
        if at not in inside:
            return changes.get(at, value)
        if isinstance(value, dict):
            return {key: copy(item, (*at, key)) for key, item in value.items()}
        return [copy(item, (*at, number)) for number, item in enumerate(value)]

    return copy(data, ())
