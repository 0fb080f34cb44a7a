"""A recipe's layers: the recipe that it extends, the recipe itself, `--set`. Mappings merge, lists and values replace."""

from pathlib import Path
from typing import Any

from .errors import Mark, Problem, UserError
from .yaml_source import Document, KeyPath, parse_yaml, read_text

SHIPPED = Path(__file__).parent.parent / "recipes"
SUFFIXES = (".yml", ".yaml")


def shipped_recipes() -> list[Path]:
    """The recipes that come with the package, sorted by name."""
    return sorted(path for path in SHIPPED.glob("*") if path.suffix in SUFFIXES)


def find_recipe(name: str, beside: Path | None = None) -> Path:
    """The file of a recipe given as a path or as a shipped recipe's name; a path wins."""
    path = (beside / name) if beside else Path(name)
    if path.is_file() or path.suffix in SUFFIXES and "/" in name:
        return path
    for shipped in shipped_recipes():
        if name in (shipped.stem, shipped.name):
            return shipped
    if path.exists() or path.suffix in SUFFIXES:
        return path
    import difflib

    near = difflib.get_close_matches(name, [p.stem for p in shipped_recipes()], n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else "recipe ls shows the shipped recipes"
    raise UserError(Problem(Mark(name), "no such recipe", hint, "no-such-recipe"))


def load_layers(path: Path, settings: tuple[str, ...] = ()) -> Document:
    """The recipe at `path` over what it extends, with every `--set a.b=value` on top, each value with its place."""
    document = _extended(path, [])
    for setting in settings:
        document = overlay(document, _setting(setting, document.data))
    return document


def overlay(base: Document, top: Document, at: KeyPath = ()) -> Document:
    """`top` over `base`. Places follow the values that they describe."""
    under, over = _at(base.data, at), _at(top.data, at)
    if not (isinstance(under, dict) and isinstance(over, dict)):
        outside = {name: {p: m for p, m in table.items() if p[: len(at)] != at or p == at} for name, table in _tables(base)}
        inside = {name: {p: m for p, m in table.items() if p[: len(at)] == at} for name, table in _tables(top)}
        return Document(_replaced(base.data, at, over), outside["keys"] | inside["keys"], outside["values"] | inside["values"])
    merged = base
    for key in over:
        path = (*at, key)
        if key in under:
            merged = overlay(merged, top, path)
        else:
            added = {name: {p: m for p, m in table.items() if p[: len(path)] == path} for name, table in _tables(top)}
            data = _replaced(merged.data, path, over[key])
            merged = Document(data, merged.keys | added["keys"], merged.values | added["values"])
    return merged


def _tables(document: Document) -> tuple[tuple[str, dict[KeyPath, Mark]], ...]:
    return ("keys", document.keys), ("values", document.values)


def _at(data: Any, path: KeyPath) -> Any:
    for part in path:
        data = data[part]
    return data


def _replaced(data: Any, path: KeyPath, value: Any) -> Any:
    if not path:
        return value
    head, rest = path[0], path[1:]
    copy = list(data) if isinstance(data, list) else dict(data)
    copy[head] = _replaced(copy.get(head) if isinstance(copy, dict) else copy[head], rest, value)  # pyright: ignore
    return copy


def _extended(path: Path, above: list[Path]) -> Document:
    real = path.resolve()
    if real in above:
        chain = " -> ".join(p.name for p in [*above, real])
        raise UserError(Problem(Mark(str(above[-1])), f"extends itself: {chain}", "remove one `extends`", "extends-cycle"))
    document = parse_yaml(read_text(path), str(path))
    if not isinstance(document.data, dict):
        raise UserError(Problem(Mark(str(path), 1, 1), "a recipe is a mapping of keys", "start with `recipe: 1`", "yaml-not-mapping"))
    document = _absolute_sources(document, path.parent)
    parent = document.data.get("extends")
    if not isinstance(parent, str) or not parent:
        return document
    try:
        found = find_recipe(parent, beside=path.parent)
        base = _extended(found, [*above, real])
    except UserError as error:
        if any(p.rule == "no-such-recipe" and p.mark.file in (parent, str(path.parent / parent)) for p in error.problems):
            raise UserError(error.problems[0]._replace(mark=document.mark(("extends",)), what=f"no such recipe: {parent!r}")) from None
        raise
    return overlay(base, document)


def _absolute_sources(document: Document, folder: Path) -> Document:
    """A source's path is relative to the file that names it, which a recipe that extends it may not be beside."""
    data = document.data.get("data")
    sources = data.get("sources") if isinstance(data, dict) else None
    for index, source in enumerate(sources if isinstance(sources, list) else []):
        where = source.get("path") if isinstance(source, dict) else None
        if isinstance(where, str) and where and not where.startswith("hf:"):
            absolute = str((folder / where).resolve() if "*" not in where else folder.resolve() / where)
            document = document._replace(data=_replaced(document.data, ("data", "sources", index, "path"), absolute))
    return document


def _setting(setting: str, data: Any) -> Document:
    """`a.b.0.c=value` as a layer; the value is read as YAML. Lists replace, so an item's layer is its whole list, changed."""
    mark = Mark(f"--set {setting}")
    name, equals, text = setting.partition("=")
    if not equals or not name.strip("."):
        raise UserError(Problem(mark, "expected key=value", "for example --set training.learning_rate=1e-4", "set"))
    value = parse_yaml(text, mark.file).data if text.strip() else None
    parts = name.split(".")
    path, here = [], data
    while parts and not isinstance(here, list):
        path.append(parts.pop(0))
        here = here.get(path[-1]) if isinstance(here, dict) else None
    if parts:
        try:
            value = _replaced(here, tuple(int(p) if p.isdigit() else p for p in parts), value)
        except (TypeError, KeyError, IndexError, ValueError):
            count = len(here) if isinstance(here, list) else 0
            raise UserError(Problem(mark, f"{'.'.join(path)} has no item {parts[0]!r}", f"it has {count} items, from 0", "set")) from None
    layer = value
    for part in reversed(path):
        layer = {part: layer}
    marks: dict[KeyPath, Mark] = {tuple(path[:length]): mark for length in range(1, len(path) + 1)}
    return _absolute_sources(Document(layer, dict(marks), dict(marks)), Path.cwd())
