"""Resolve `extends` and `--set`.

Mappings merge, lists and values replace, null removes the inherited key.
"""

import os
import re
from pathlib import Path
from typing import Any

from .base.counted import counted
from .base.errors import Location, Problem, UserError
from .base.suggestion import did_you_mean
from .paths import SUFFIXES, absolute_paths, expand_variables
from .values import is_written, replaced_at, without
from .yaml_source import MAX_BYTES, Document, KeyPath, parse_yaml, read_text

SHIPPED = Path(__file__).parent.parent / "recipes"
MAX_EXTENDS = 10
_KEYS = re.compile(rb"""^["']?(recipe|extends|prompt)["']?\s*:""", re.MULTILINE)
_NO_COMMENT = "\u2317"  # replaces #, so that no comment begins
# Two ways to say one thing: a layer with one replaces the other in the layers below it, as it would the same key.
_ALTERNATIVES = (("num_epochs", "max_steps"), ("warmup_ratio", "warmup_steps"))
LISTED = "`recipe ls` lists the shipped recipes"
_DATA_HINT = "a recipe is a .yml file; for a data file use `recipe new NAME --data FILE`"


def shipped_recipes() -> list[Path]:
    """Return the shipped recipes, sorted by name."""
    return sorted(path for path in SHIPPED.glob("*") if path.suffix in SUFFIXES)


def find_recipe(name: str, folder: Path | None = None) -> Path:
    """Return the file of a recipe given as a path or by its name. Raises UserError if there is none.

    A file wins, then NAME.yml here and in recipes/, where `recipe new` writes it (not for `extends`), then a shipped recipe; a folder
    of the same name may be the data of the recipe.
    """
    path = (folder / name) if folder else Path(name)
    if os.path.isfile(path) or path.suffix in SUFFIXES and "/" in name:
        return path
    local = [] if folder else [*_local_recipes()]
    for own in local:
        if name in (own.stem, own.name, str(own.with_suffix(""))):
            return own
    for shipped in shipped_recipes():
        if name in (shipped.stem, shipped.name):
            return shipped
    if os.path.exists(path) or path.suffix in SUFFIXES:
        return path
    names = [found.stem for found in (*local, *shipped_recipes())]
    hint = did_you_mean(name, names, LISTED, cutoff=0.5)
    raise UserError(Problem(name, "no such recipe", hint, "no-such-recipe"))


def is_recipe_name(name: str) -> bool:
    """Return whether `find_recipe` finds a recipe of that name."""
    try:
        return find_recipe(name).suffix in SUFFIXES
    except UserError:
        return False


def _local_recipes() -> list[Path]:
    """Return the files in this folder and in recipes/ that are meant as recipes, but for the shipped ones."""
    folders = [folder for folder in (Path(), Path("recipes")) if folder.resolve() != SHIPPED.resolve()]
    found = [path for folder in folders for path in sorted(folder.glob("*")) if path.suffix in SUFFIXES]
    return [path for path in found if path.is_file() and is_recipe_file(path)]


def recipe_files(name: str) -> list[Path]:
    """Return the recipes of an argument: a file, a recipe's name, or a folder with recipes. Raises UserError if there is none.

    A name that a recipe and a folder have is the recipe's, as in every other command; `NAME/` is the folder.
    """
    path = find_recipe(name)
    if not os.path.isdir(path):  # a name may be too long to be asked for with pathlib
        return [path]
    if found := recipes_in(path):
        return found
    raise UserError(Problem(name, "no recipes in this folder", "a recipe is a .yml file with `recipe: 1`", "no-such-recipe"))


def recipes_in(folder: Path) -> list[Path]:
    """Return the recipes and prompts in the folder, at any depth."""
    return [path for path in yaml_files(folder) if is_recipe_file(path)]


def yaml_files(folder: Path) -> list[Path]:
    """Return the YAML files in the folder at any depth, without hidden ones and those in runs."""
    found = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and not _hidden(path.relative_to(folder)))
    return [path for path in found if not any((above / "status.json").is_file() for above in (path.parent, path.parent.parent))]


def is_recipe_file(path: Path) -> bool:
    """Return whether the file is meant as a recipe or a prompt, even if it is not valid YAML."""
    try:
        with path.open("rb") as stream:
            return bool(_KEYS.search(stream.read(MAX_BYTES)))
    except OSError:
        return True  # the check will report that it cannot be read


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def load_layers(path: Path, settings: tuple[str, ...] = ()) -> Document:
    """Read the recipe at `path` with what it extends, every `--set a.b=value` and its variables, with their locations.

    Raises UserError.
    """
    document = _extended(path, [])
    problems: list[Problem] = []
    for setting in settings:
        try:
            document = _with_setting(document, setting)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    return expand_variables(document)


def overlay(base: Document, top: Document) -> Document:
    """Merge `top` into `base`: mappings merge, lists and values replace, null removes a key. Locations follow the values."""
    replaced: set[KeyPath] = set()
    data = _merged(base.data, top.data, (), replaced)
    return Document(data, _kept(base.keys, replaced) | top.keys, _kept(base.values, replaced) | top.values)


def _merged(under: Any, over: Any, at: KeyPath, replaced: set[KeyPath]) -> Any:
    """Merge `over` into `under`; add the paths whose old value is replaced to `replaced`."""
    if not (isinstance(under, dict) and isinstance(over, dict)):
        replaced.add(at)
        return over
    merged = dict(under)
    for key, value in over.items():
        if key not in under:
            merged[key] = value
        elif value is None:
            del merged[key]
            replaced.add((*at, key))
        else:
            merged[key] = _merged(under[key], value, (*at, key), replaced)
        if value is not None and (other := _alternative((*at, key))) and other[-1] in under and other[-1] not in over:
            del merged[other[-1]]
            replaced.add(other)
    return merged


def _alternative(path: KeyPath) -> KeyPath | None:
    """Return the path of the key that says the same in another way."""
    for pair in _ALTERNATIVES:
        if path[-2:-1] == ("training",) and path[-1] in pair:
            return (*path[:-1], pair[path[-1] == pair[0]])
    return None


def _kept(locations: dict[KeyPath, Location], replaced: set[KeyPath]) -> dict[KeyPath, Location]:
    return {path: location for path, location in locations.items() if not any(path[:length] in replaced for length in range(len(path)))}


def _extended(path: Path, above: list[Path]) -> Document:
    real = Path(os.path.realpath(path))
    chain = " -> ".join(p.name for p in [*above, real])
    if real in above:
        raise UserError(Problem(above[-1], f"extends itself: {chain}", "remove one `extends`", "extends-cycle"))
    if len(above) > MAX_EXTENDS:
        raise UserError(Problem(path, f"more than {MAX_EXTENDS} levels of extends", chain, "extends-depth"))
    document = _read(path)
    document = absolute_paths(document, path.parent)
    parent = document.data.get("extends")
    if not isinstance(parent, str) or not parent:
        return document
    try:
        base = _extended(find_recipe(parent, folder=path.parent), [*above, real])
    except UserError as error:
        problem = error.problems[0]
        if problem.rule in ("no-such-recipe", "unreadable") and problem.location.file in (parent, str(path.parent / parent)):
            what = f"extends {parent!r}: {problem.what}"
            raise UserError(problem.replaced(location=document.location(("extends",)), what=what)) from None
        raise
    data = {key: value for key, value in document.data.items() if key != "extends"}  # it is resolved
    return overlay(base, document._replace(data=data))


def _nearby(path: Path) -> str:
    """Return the hint for a file that does not exist: one with a similar name in its folder, which may end in .yaml or .yml."""
    beside = sorted(os.listdir(path.parent)) if os.path.isdir(path.parent) else []
    return did_you_mean(path.name, [name for name in beside if name.endswith(SUFFIXES)], LISTED, cutoff=0.8)


def _read(path: Path) -> Document:
    """Return the mapping in the file. For a data file, the hint names the command that reads it."""
    try:
        document = parse_yaml(read_text(path, missing=_nearby), str(path))
        if not isinstance(document.data, dict):
            raise UserError(
                Problem(Location(str(path), 1, 1), "not a mapping of keys", "start the recipe with `recipe: 1`", "yaml-not-mapping")
            )
    except UserError as error:
        if path.suffix in SUFFIXES or error.problems[0].rule in ("no-such-recipe", "unreadable"):
            raise
        raise UserError(*(problem.replaced(hint=_DATA_HINT) for problem in error.problems)) from None
    if path.suffix not in SUFFIXES and not {"recipe", "extends"} & set(document.data):
        raise UserError(Problem(path, "not a recipe", _DATA_HINT, "yaml-not-recipe"))
    return document


def _with_setting(document: Document, setting: str) -> Document:
    """Apply `a.b.0.c=value`; the value is parsed as YAML, and null removes the key."""
    location = Location.of_setting(setting)
    name, equals, text = setting.partition("=")
    parts = name.split(".")
    if not equals or not all(parts):
        raise UserError(Problem(location, "expected key=value", "for example --set training.learning_rate=1e-4", "set"))
    if parts[0] == "extends":
        raise UserError(Problem(location, "extends cannot be set", "write it in the recipe", "set"))
    if _has_comment(text, location.file):
        raise UserError(Problem(location, "# begins a comment: what follows would be left out", "put the value in quotes", "set"))
    return with_value(document, parts, parse_yaml(text, location.file).data if text.strip() else None, location, Path.cwd())


def _has_comment(text: str, file: str) -> bool:
    """Return whether YAML omits a part of the value."""
    if "#" not in text:
        return False
    whole = parse_yaml(text.replace("#", _NO_COMMENT), file).data
    return text.lstrip().startswith("#") or str(whole).replace(_NO_COMMENT, "#") != str(parse_yaml(text, file).data)


def with_value(document: Document, parts: list[str], value: Any, location: Location, folder: Path) -> Document:
    """Set the value at `a.b.0.c`; mappings merge, null removes the key. Paths in the value are relative to `folder`. Raises UserError."""
    path: list[str | int] = []
    here: Any = document.data
    for part in parts:
        if isinstance(here, list):
            if not part.isdecimal() or int(part) >= len(here):
                what = f"{'.'.join(map(str, path))} has no item {part!r}"
                raise UserError(Problem(location, what, f"it has {counted(len(here), 'item')}, counted from 0", "set"))
            path.append(int(part))
            here = here[int(part)]
        elif isinstance(here, dict) or here is None:
            path.append(part)
            here = here.get(part) if here else None
        else:
            raise UserError(Problem(location, f"{'.'.join(map(str, path))} is a value, not a section", rule="set"))
    replaced: set[KeyPath] = set()
    at = tuple(path)
    if value is None and here is not None and isinstance(path[-1], str):
        changed = without(document.data, at)
        replaced.add(at)
    else:
        changed = replaced_at(document.data, at, _merged(here, value, at, replaced))
        other = _alternative(at)
        # Both in one command line are refused, as both in one file are.
        if other and is_written(changed, other) and not document.location(other).is_setting:
            changed = without(changed, other)
            replaced.add(other)
    keys, values = _kept(document.keys, replaced), _kept(document.values, replaced)
    made = [at[:length] for length in range(1, len(at)) if not is_written(document.data, at[:length])]  # sections that the file lacks
    places = dict.fromkeys([*made, at], location)
    return absolute_paths(Document(changed, keys | places, values | places), folder, at)
