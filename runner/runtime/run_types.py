"""Check the types of lines in a run's files (`schemas/run.schema.json`): a line of other types was not written by recipekit."""

from functools import cache
from typing import Any

from ...schemas.json_schema import schema


@cache
def _validator(name: str) -> Any:
    """Return the validator for a line of the file; None for a file without a schema."""
    import jsonschema_rs

    document = schema("run")
    if name not in document["$defs"]:
        return None
    return jsonschema_rs.validator_for({**document, "$ref": f"#/$defs/{name}"}, offline=True)


def type_fault(name: str, values: Any, keys: tuple[str, ...] = ()) -> str:
    """Return what is wrong with a line of the file called `name`: a wrong type or a missing key; empty if nothing is."""
    if missing := [key for key in keys if key not in values]:
        return f"no {missing[0]!r}"
    validator = _validator(name)
    if validator is None or validator.is_valid(values):
        return ""
    error = next(iter(validator.iter_errors(values)))
    where = ".".join(map(str, error.instance_path))
    return f"{where}: {error.message[:200]}" if where else error.message[:200]
