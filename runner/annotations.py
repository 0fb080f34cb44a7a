"""Problems as text, JSON, GitHub annotations or SARIF 2.1.0."""

from collections.abc import Callable, Sequence

import orjson

from ..schemas import VERSION
from ..schemas.errors import Problem


def as_text(problems: Sequence[Problem]) -> str:
    """`file:line:col: what` and a hint for each."""
    return "\n".join(map(str, problems))


def as_json(problems: Sequence[Problem]) -> str:
    """One object: `valid`, and `problems` with file, line, column, what, hint and rule."""
    rows = [{**p.mark._asdict(), "what": p.what, "hint": p.hint, "rule": p.rule} for p in problems]
    return orjson.dumps({"valid": not rows, "problems": rows}, option=orjson.OPT_INDENT_2).decode()


def as_github(problems: Sequence[Problem]) -> str:
    """Workflow commands that GitHub shows beside the line."""
    return "\n".join(
        f"::error file={_property(p.mark.file)},line={p.mark.line or 1},col={p.mark.column or 1},title={_property(p.rule)}::"
        + _data(p.what + (f" (hint: {p.hint})" if p.hint else ""))
        for p in problems
    )


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def as_sarif(problems: Sequence[Problem]) -> str:
    """A SARIF log for code scanning."""
    results = [
        {
            "ruleId": p.rule,
            "level": "error",
            "message": {"text": p.what + (f" (hint: {p.hint})" if p.hint else "")},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": p.mark.file},
                        "region": {"startLine": max(p.mark.line, 1), "startColumn": max(p.mark.column, 1)},
                    }
                }
            ],
        }
        for p in problems
    ]
    rules = [{"id": rule} for rule in sorted({p.rule for p in problems})]
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": {"name": "recipekit", "version": VERSION, "rules": rules}}, "results": results}],
    }
    return orjson.dumps(log, option=orjson.OPT_INDENT_2).decode()


FORMATS: dict[str, Callable[[Sequence[Problem]], str]] = {"text": as_text, "json": as_json, "github": as_github, "sarif": as_sarif}
