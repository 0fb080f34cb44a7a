"""Read YAML text as plain values with the location of every key and value. No other module reads YAML.

This is a bounded composer on PyYAML's event stream, because `yaml.safe_load` crashes on deep nesting, hangs on a merge-key bomb, silently
keeps the last of two duplicate keys, and reads `2e-4` as text (measured). Scalars follow the YAML 1.2 core schema: `2e-4` is a number,
`no` is the word "no", `014` is fourteen and `12:34:56` is text.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from yaml import AliasEvent, MappingEndEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent, StreamEndEvent

from .base.errors import Location, Problem, UserError, first_line

MAX_BYTES = 1_000_000
MAX_DEPTH = 64
MAX_ALIASES = 100
MAX_NODES = 100_000
MAX_DIGITS = 64

KeyPath = tuple[str | int, ...]

_FIRST_OF_NUMBERS = frozenset("+-.0123456789")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_INT_OF_1_1 = re.compile(r"[-+]?([0-9][0-9_]*(:[0-5]?[0-9])*|0b[01][01_]*|0x[0-9a-fA-F][0-9a-fA-F_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: value for value, name in ((True, "true"), (False, "false")) for word in (name, name.capitalize(), name.upper())
}
_WORDS_OF_1_1 = {
    word: value
    for value, names in ((True, "yes on"), (False, "no off"))
    for name in names.split()
    for word in (name, name.capitalize(), name.upper())
}
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")}
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Document(NamedTuple):
    """A YAML file as values. `keys[path]` is the location of a key, `values[path]` that of its value."""

    data: Any
    keys: dict[KeyPath, Location]
    values: dict[KeyPath, Location]

    @property
    def has_settings(self) -> bool:
        """Whether the command line sets a key."""
        return any(location.is_setting for location in self.keys.values())

    def location(self, path: KeyPath, *, key: bool = False) -> Location:
        """Return the location of the value at `path` (of its key with `key=True`), else of the nearest parent."""
        tables = (self.keys, self.values) if key else (self.values, self.keys)
        for length in range(len(path), -1, -1):
            for table in tables:
                if path[:length] in table:
                    return table[path[:length]]
        return Location("")


def read_text(path: Path, name: str | None = None, missing: Callable[[Path], str] = lambda path: "") -> str:
    """Read a YAML file; of a file that is too large, at most MAX_BYTES. Raises UserError with the cause; `missing` makes the hint
    for a path without a file."""
    location = Location(name or str(path))
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UserError(Problem(location, "no such file", missing(path), "no-such-recipe")) from None
    except OSError as error:
        own = path / "recipe.yml"
        hint = f"the recipe of this run is {own}" if isinstance(error, IsADirectoryError) and own.is_file() else ""
        raise UserError(Problem(location, f"cannot be read: {error.strerror}", hint, "unreadable")) from None
    if len(raw) > MAX_BYTES:
        hint = f"the limit is {MAX_BYTES:,} bytes; put data in files and name them in data.sources"
        raise UserError(Problem(location, "too large for a recipe", hint, "yaml-size"))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        hint = "save it as UTF-8: it looks like UTF-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "save it as UTF-8"
        raise UserError(Problem(location._replace(line=line, column=1), "not UTF-8 text", hint, "yaml-encoding")) from None


def parse_yaml(text: str, file: str, *, is_1_1: bool = False) -> Document:
    """Read one YAML document, as YAML 1.2 or 1.1: there `no` is false, 010 is eight and 1_000 a thousand. Raises UserError with the
    location of the error."""
    if len(text) > MAX_BYTES:
        raise UserError(Problem(file, f"too large for a recipe: {len(text):,} characters", rule="yaml-size"))
    try:
        text.encode()
        return _Composer(text, file, is_1_1).document()
    except UnicodeEncodeError:  # a command-line argument that is not UTF-8
        raise UserError(Problem(file, "not UTF-8 text", rule="yaml-encoding")) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Location(file, *min((mark.line + 1, mark.column + 1), _end(text))) if mark else Location(file)
        raise UserError(Problem(place, f"not YAML: {error.problem or error.context}", _syntax_hint(error, text), "yaml-syntax")) from None
    except yaml.YAMLError as error:
        raise UserError(Problem(_reader_mark(error, text, file), f"not YAML: {_reader_reason(error)}", rule="yaml-syntax")) from None


class _Composer:
    """Composes values from events, and counts depth, aliases and nodes before anything is built."""

    def __init__(self, text: str, file: str, is_1_1: bool) -> None:
        self.file, self.end = file, _end(text)
        self.words, self.is_1_1 = (_WORDS | _WORDS_OF_1_1 if is_1_1 else _WORDS), is_1_1
        self.next = _PARSER(text).get_event
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.open_anchors: set[str] = set()
        self.aliases = 0
        self.nodes = 0
        self.depth = 0
        self.keys: dict[KeyPath, Location] = {}
        self.values: dict[KeyPath, Location] = {}

    def document(self) -> Document:
        """Return the one document of the file. Raises UserError if it has none, or several."""
        self.next()  # start of the stream
        first = self.next()
        if isinstance(first, StreamEndEvent):
            raise UserError(Problem(self.file, "the file is empty", "`recipe new NAME` writes a recipe", "yaml-empty"))
        data = self.node(self.next(), ())
        self.next()  # end of the document
        after = self.next()
        if not isinstance(after, StreamEndEvent):
            raise self.refuse(after, "more than one document", "remove everything after ---: one file is one recipe", "yaml-documents")
        return Document(data, self.keys, self.values)

    def refuse(self, event: Any, what: str, hint: str, rule: str) -> UserError:
        return UserError(Problem(self.place(event), what, hint, rule))

    def place(self, event: Any) -> Location:
        mark = event.start_mark
        return Location(self.file, *min((mark.line + 1, mark.column + 1), self.end))

    def count(self, event: Any, nodes: int = 1) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise self.refuse(event, f"expands to more than {MAX_NODES:,} values", "write the values out", "yaml-bomb")

    def node(self, event: Any, path: KeyPath) -> Any:
        self.values[path] = self.place(event)
        if isinstance(event, AliasEvent):
            return self.alias(event)
        before = self.nodes
        self.count(event)
        anchor = event.anchor
        if anchor:
            self.open_anchors.add(anchor)
        if event.tag and event.tag not in _TAGS and event.tag != "!":
            raise self.refuse(event, f"the tag {event.tag} is not allowed", "use plain values", "yaml-tag")
        value = self.scalar(event) if isinstance(event, ScalarEvent) else self.collection(event, path)
        if anchor:
            self.open_anchors.discard(anchor)
            self.anchors[anchor] = (value, self.nodes - before)
        return value

    def alias(self, event: Any) -> Any:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            raise self.refuse(event, f"more than {MAX_ALIASES} aliases", "use `extends` to share settings", "yaml-bomb")
        if event.anchor in self.open_anchors:
            raise self.refuse(event, f"the alias *{event.anchor} contains itself", "remove the alias", "yaml-recursion")
        if event.anchor not in self.anchors:
            raise self.refuse(event, f"undefined alias *{event.anchor}", f"define &{event.anchor} before it", "yaml-alias")
        value, nodes = self.anchors[event.anchor]
        self.count(event, nodes)
        return value

    def collection(self, event: Any, path: KeyPath) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.refuse(event, f"nested deeper than {MAX_DEPTH} levels", "recipes are only a few levels deep", "yaml-depth")
        value = self.sequence(path) if isinstance(event, SequenceStartEvent) else self.mapping(path)
        self.depth -= 1
        return value

    def sequence(self, path: KeyPath) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self.next(), SequenceEndEvent):
            items.append(self.node(event, (*path, len(items))))
        return items

    def mapping(self, path: KeyPath) -> dict[str, Any]:
        items: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(event := self.next(), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                raise self.refuse(event, "a key must be plain text", "quote it, or write `key: value`", "yaml-key")
            key = self.text(event)
            if key == "<<" and event.implicit[0]:
                merged = self.merge(self.next(), path) | merged
                continue
            if key in items:
                first = self.keys[(*path, key)].line
                raise self.refuse(event, f"duplicate key {key!r} (first on line {first})", "remove one of them", "duplicate-key")
            self.count(event)
            at = (*path, key)
            self.keys[at] = self.place(event)
            items[key] = self.node(self.next(), at)
        return merged | items

    def merge(self, event: Any, path: KeyPath) -> dict[str, Any]:
        value = self.node(event, (*path, "<<"))
        parts = value if isinstance(value, list) else [value]
        result: dict[str, Any] = {}
        for part in reversed(parts):
            if not isinstance(part, dict):
                raise self.refuse(event, "<< needs a mapping", "merge an alias of a mapping, or use `extends`", "yaml-merge")
            self.count(event, len(part))
            result |= part
        return result

    def text(self, event: Any) -> str:
        if "\0" in event.value:  # no path, token or other tool accepts it
            raise self.refuse(event, "text contains the character U+0000", "remove it", "yaml-syntax")
        return event.value

    def scalar(self, event: Any) -> Any:
        text = self.text(event)
        tag = (event.tag or "").removeprefix("tag:yaml.org,2002:")
        if tag in ("str", "!") or (not tag and not event.implicit[0]):
            return text
        if text in self.words:
            return self.words[text]
        if text[0] not in _FIRST_OF_NUMBERS:
            return text
        if _NOT_FINITE.fullmatch(text):
            raise self.refuse(event, f"{text} is not a finite number", "write a number, or quote it if it is text", "yaml-number")
        if len(text) > MAX_DIGITS and _FLOAT.fullmatch(text):
            raise self.refuse(event, f"a number of {len(text)} digits", "quote it if it is text", "yaml-number")
        if self.is_1_1 and _INT_OF_1_1.fullmatch(text) and isinstance(number := yaml.safe_load(text), int):
            return number
        if _INT.fullmatch(text):
            return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
        if not _FLOAT.fullmatch(text):
            return text
        if math.isinf(number := float(text)):
            raise self.refuse(event, f"{text} is too large for a number", "quote it if it is text", "yaml-number")
        return number


def _end(text: str) -> tuple[int, int]:
    """Return line and column of the end of the text. libyaml puts the end of a file without a line end on a line of its own."""
    return len(_LINE_END.findall(text)) + 1, len(_LINE_END.split(text)[-1]) + 1


def _syntax_hint(error: yaml.MarkedYAMLError, text: str) -> str:
    problem, location = error.problem or "", error.problem_mark
    if "quoted scalar" in (error.context or "") and "end of stream" in problem and (begin := error.context_mark):
        return f"a quote is not closed: it begins on line {begin.line + 1}"
    if location and text[location.index : location.index + 1] == "\t":
        return "indent with spaces, not tabs"
    if "Unicode character escape" in problem:
        return "write the character itself instead of its escape"
    if "expected ',' or" in problem:
        return "a bracket before this is not closed"
    if "mapping values are not allowed" in problem:
        return "check the indentation, and quote text that contains ': '"
    if "could not find expected ':'" in problem or "expected <block end>" in problem:
        return "check the indentation and the line above"
    return "quote text that contains special characters" if "cannot start any token" in problem else ""


def _reader_mark(error: yaml.YAMLError, text: str, file: str) -> Location:
    position = getattr(error, "position", None)
    if not isinstance(position, int):
        return Location(file)
    before = text[:position]
    return Location(file, before.count("\n") + 1, position - before.rfind("\n"))


def _reader_reason(error: yaml.YAMLError) -> str:
    character = getattr(error, "character", None)
    if character is None:
        return first_line(error)
    code = character if isinstance(character, int) else ord(character)
    return f"the control character U+{code:04X}"
