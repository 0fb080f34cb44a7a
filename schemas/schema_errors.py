"""Explain schema errors: each with its location, what is wrong, and what to write instead.

Imported only for invalid documents: importing `jsonschema` takes longer than a successful check.
"""

import json  # orjson takes no number beyond 64 bits
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend

from .aliases import suggestion
from .base.errors import MAX_PROBLEMS, Problem
from .base.suggestion import did_you_mean
from .json_schema import key_paths
from .yaml_source import Document, KeyPath
from .yaml_writing import one_line

_KINDS = {
    "string": "text", "number": "a number", "integer": "a whole number", "boolean": "true or false",
    "array": "a list", "object": "a mapping", "null": "nothing",
}  # fmt: skip
MAX_SHOWN = 60
FEW = 6  # choices that a hint lists
_YES_NO = {word: value for value, words in (("true", "yes on y true"), ("false", "no off n false")) for word in words.split()}


def explain(document: Document, schema: dict[str, Any]) -> list[Problem]:
    """Return the problems in file order: at most MAX_PROBLEMS, then one that says there are more."""
    errors = _Validator(schema).iter_errors(document.data)
    found = (p for error in errors for p in _problems(document, error))
    problems = _without_misspelt(sorted(set(islice(found, MAX_PROBLEMS)), key=lambda p: (p.location, p.what)))
    if next(found, None):
        what = f"more than {MAX_PROBLEMS} problems: the rest are not listed"
        problems.append(Problem(document.location(()).file, what, rule="too-many"))
    return problems


def _without_misspelt(problems: list[Problem]) -> list[Problem]:
    """Remove missing keys that are present under a misspelt name, which is reported already."""
    misspelt = {(p.what.partition(" in ")[2], p.hint) for p in problems if p.rule == "unknown-key"}

    def is_reported(problem: Problem) -> bool:
        key, _, where = problem.what.removeprefix("missing key ").partition(" in ")
        return problem.rule == "missing-key" and (where, f"did you mean {key}?") in misspelt

    return [problem for problem in problems if not is_reported(problem)]


def _unique_items(validator: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Compare hashed items: jsonschema compares every pair of items that cannot be sorted, which takes minutes for a hostile list."""
    if wanted and isinstance(instance, list) and len({json.dumps(item, sort_keys=True) for item in instance}) < len(instance):
        yield ValidationError("duplicate item")


_Validator = extend(Draft202012Validator, {"uniqueItems": _unique_items})


def _problems(document: Document, error: ValidationError) -> Iterator[Problem]:
    path: KeyPath = tuple(error.absolute_path)
    as_list = ""
    if error.validator in ("anyOf", "oneOf") and error.context:
        is_list = any(isinstance(one, dict) and one.get("type") == "array" for one in cast(list[Any], error.validator_value))
        as_list = f", or a list: [{error.instance}]" if is_list and isinstance(error.instance, str) else ""
        error = _likeliest(error)
        path = tuple(error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.validator_value, bool):
        yield from _unknown_keys(document, error, path)
    elif list(error.absolute_schema_path)[-2:-1] == ["propertyNames"]:
        key, allowed = str(error.instance), cast(list[Any], error.validator_value)
        location = document.location((*path, key), key=True)
        yield Problem(location, f"unknown key {_shown(key)} in {_name(path)}", _choice(key, allowed), "unknown-key")
    elif error.validator == "required":
        yield from _missing_keys(document, error, path)
    else:
        what, hint = _value_problem(error)
        yield Problem(
            document.location(path),
            f"{_name(path)}: {what}" if path else what,
            hint + ("" if "list" in hint else as_list),
            f"{error.validator}".lower(),
        )


def _likeliest(error: ValidationError) -> ValidationError:
    """Return the error of the alternative that failed deepest in the value, or not by its type, else jsonschema's best match."""
    deepest = max(error.context, key=lambda inner: len(inner.absolute_path))
    if len(deepest.absolute_path) > len(error.absolute_path):
        return deepest
    return best_match([inner for inner in error.context if inner.validator not in ("type", "const", "enum")] or error.context) or error


def _name(path: KeyPath) -> str:
    return ".".join(part if isinstance(part, str) and len(part) <= MAX_SHOWN else _shown(part) for part in path)


def _parts(error: ValidationError) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the invalid mapping and the schema that it breaks."""
    return cast(dict[str, Any], error.instance), cast(dict[str, Any], error.schema)


def _unknown_keys(document: Document, error: ValidationError, path: KeyPath) -> Iterator[Problem]:
    given, schema = _parts(error)
    known = list(schema.get("properties", {}))
    for key in sorted(set(given) - set(known)):
        hint = suggestion(key, _name(path), known, list(key_paths()))
        where = f" in {_name(path)}" if path else ""
        yield Problem(document.location((*path, key), key=True), f"unknown key {_shown(key)}{where}", hint, "unknown-key")


def _missing_keys(document: Document, error: ValidationError, path: KeyPath) -> Iterator[Problem]:
    given, schema = _parts(error)
    properties = schema.get("properties", {})
    for key in schema["required"]:
        if key not in given:
            where = f" in {_name(path)}" if path else ""
            yield Problem(
                document.location(path, key=True), f"missing key {key!r}{where}", _to_add(key, properties.get(key, {})), "missing-key"
            )


def _to_add(key: str, schema: dict[str, Any]) -> str:
    """Return the line to add, or what the key means with an example of its value."""
    if "const" in schema:
        return f"add `{key}: {schema['const']}`"
    values = schema.get("enum", schema.get("examples", ()))
    example = f"add for example `{key}: {one_line(values[0])}`" if values else ""
    others = f" (or {', '.join(map(str, schema['enum'][1:]))})" if 1 < len(schema.get("enum", ())) <= FEW else ""
    return ". ".join(part for part in (f"{example}{others}", schema.get("description", "")) if part)


def _choice(value: Any, allowed: list[Any]) -> str:
    names = list(map(str, allowed))
    return did_you_mean(str(value)[:MAX_SHOWN], names, f"one of: {', '.join(names)}")


def _value_problem(error: ValidationError) -> tuple[str, str]:
    value, rule, wanted = cast(Any, error.instance), error.validator, cast(Any, error.validator_value)
    shown = _shown(value)
    if rule == "type":
        return f"expected {_KINDS.get(str(wanted), wanted)}, got {shown}", _type_hint(value, str(wanted))
    if rule == "enum":
        choices: list[Any] = list(wanted)
        if isinstance(value, bool) or value is None:
            return f"{shown} is not allowed here", f"one of: {', '.join(map(str, choices))} (quote the word to make it text)"
        return f"{shown} is not allowed here", _choice(value, choices)
    if rule == "const":
        return f"expected {_shown(wanted)}, got {shown}", f"write {wanted}"
    words = {
        "minimum": f"{shown} is below the minimum, {wanted}",
        "maximum": f"{shown} is above the maximum, {wanted}",
        "exclusiveMinimum": f"{shown} must be greater than {wanted}",
        "exclusiveMaximum": f"{shown} must be less than {wanted}",
        "minItems": f"needs at least {wanted} item{'s' if wanted != 1 else ''}",
        "uniqueItems": "duplicate item",
        "minLength": "must not be empty",
        "minProperties": "must not be empty",
        "pattern": f"{shown} has the wrong format",
    }
    description = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    return words.get(str(rule), error.message), description


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(value if len(value) <= MAX_SHOWN else value[: MAX_SHOWN - 3] + "...")
    if isinstance(value, dict | list):
        return _KINDS["object" if isinstance(value, dict) else "array"]
    return "nothing" if value is None else str(value)


def _type_hint(value: Any, wanted: str) -> str:
    if wanted == "boolean" and isinstance(value, str) and value.lower() in _YES_NO:
        return f"write {_YES_NO[value.lower()]}" + ", without quotes" * (value.lower() in ("true", "false"))
    if wanted in ("number", "integer") and isinstance(value, str):
        return "write a plain number, without quotes or unit"
    if wanted == "string" and isinstance(value, int | float):
        return f"put it in quotes: without them it is read as {_KINDS['boolean' if isinstance(value, bool) else 'number']}"
    if wanted == "array" and value is not None and not isinstance(value, dict):
        return f"write a list: [{_shown(value) if not isinstance(value, str) else value[:MAX_SHOWN]}]"
    return "give it a value, or remove the key if it is optional" if value is None else ""
