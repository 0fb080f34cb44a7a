"""Problems as text, JSON, GitHub annotations or SARIF 2.1.0. File names that are not UTF-8 are escaped."""

from collections.abc import Callable, Sequence

from ...schemas import VERSION
from ...schemas.base.errors import Problem, hints_once


def as_text(problems: Sequence[Problem]) -> str:
    """Format each as `file:line:col: what` and a hint."""
    return _writable("\n".join(map(str, hints_once(problems))))


def as_json(problems: Sequence[Problem]) -> str:
    """Format as one object: `valid`, and `problems` with file, line, column, what, hint and rule."""
    return _json({"valid": not problems, "problems": [problem.facts() for problem in problems]})


def as_github(problems: Sequence[Problem]) -> str:
    """Format as workflow commands, which GitHub shows as annotations."""
    return _writable(
        "\n".join(
            f"::error file={_property(at.file)},line={at.line or 1},col={at.column or 1},title={_property(p.rule)}::{_data(_message(p))}"
            for p in problems
            for at in (p.location,)
        )
    )


def _message(problem: Problem) -> str:
    return problem.what + (f" (hint: {problem.hint})" if problem.hint else "")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def as_sarif(problems: Sequence[Problem]) -> str:
    """Format as a SARIF log for code scanning."""
    results = [
        {
            "ruleId": p.rule,
            "level": "error",
            "message": {"text": _message(p)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": _uri(p.location.file)},
                        "region": {"startLine": max(p.location.line, 1), "startColumn": max(p.location.column, 1)},
                    }
                }
            ],
        }
        for p in problems
    ]
    rules = [{"id": rule} for rule in sorted({p.rule for p in problems})]
    return _json({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": {"name": "recipekit", "version": VERSION, "rules": rules}}, "results": results}],
    })  # fmt: skip


def _uri(file: str) -> str:
    from urllib.parse import quote

    return quote(file, errors="surrogateescape")


def _json(value: object) -> str:
    import json

    return _writable(json.dumps(value, indent=2, ensure_ascii=False))


def _writable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


FORMATS: dict[str, Callable[[Sequence[Problem]], str]] = {
    "text": as_text,
    "json": as_json,
    "github": as_github,
    "sarif": as_sarif,
}
