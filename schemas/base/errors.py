"""Errors that a user can fix, and how they are reported.

    UserError            exit 1: the recipe, the data or the environment is invalid
    |- GateError         exit 3: a gate failed (leak, budget, quality)
    `- Interrupted       exit 130: stopped by a signal; the run can be resumed

Any other exception is a bug: exit 70, with a traceback to report.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from .counted import counted

SUMMARY = "max-dropped"  # the rule of a problem that counts others
MAX_PROBLEMS = 100  # per file; suggestions for thousands of keys would take minutes
MAX_TEXT = 4000  # characters of what a problem says: it may quote a name of a megabyte


class Location(NamedTuple):
    """A location in a file, or a setting of the command line. `line` and `column` count from 1; 0 means none (a whole file, an option)."""

    file: str
    line: int = 0
    column: int = 0

    @classmethod
    def of_setting(cls, setting: str) -> "Location":
        return cls(f"--set {setting}")

    @property
    def is_setting(self) -> bool:
        return self.file.startswith("--set ")

    def __str__(self) -> str:
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])


class _Fields(NamedTuple):
    location: Location
    what: str
    hint: str = ""
    rule: str = "invalid"


class Problem(_Fields):
    """What is wrong, where, and how to fix it, without secrets: it may be shown anywhere. `rule` is a stable kebab-case identifier."""

    __slots__ = ()

    def __new__(cls, location: Location | Path | str, what: str, hint: str = "", rule: str = "invalid") -> Self:
        """Return the problem with a place, which may be a whole file, or no place: ""."""
        from .redact import redact  # compiling the patterns is slow, and most files have no problem

        place = location if isinstance(location, Location) else Location(str(location))
        what = redact(what).encode("utf-8", "backslashreplace").decode()  # half a surrogate pair, of a library's message, fits in no file
        return super().__new__(cls, place._replace(file=_cut(redact(place.file))), _cut(what), _cut(redact(hint)), rule)

    def replaced(self, **changes: Any) -> Self:
        """Return the problem with other values, redacted as well."""
        return type(self)(**{**self._asdict(), **changes})

    @property
    def is_summary(self) -> bool:
        """Return whether the problem sums up others, which are listed with it."""
        return self.rule == SUMMARY

    def facts(self) -> dict[str, Any]:
        """Return file, line, column, what, hint and rule, for programs."""
        return {**self.location._asdict(), "what": self.what, "hint": self.hint, "rule": self.rule}

    def __str__(self) -> str:
        place = f"{self.location}: " if self.location.file else ""
        return f"{place}{self.what}" + (f"\n    hint: {self.hint}" if self.hint else "")


def hints_once(problems: Sequence[Problem]) -> list[Problem]:
    """Return the problems as a person reads them: a hint that several in a row have follows the last of them."""
    following = [*problems[1:], None]
    pairs = zip(problems, following, strict=False)
    return [one.replaced(hint="") if after and after.hint == one.hint else one for one, after in pairs]


def _cut(text: str) -> str:
    """Return the text, or its beginning and how much is left out. What is cut must be redacted before: half a secret has no shape."""
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} ... ({counted(len(text) - MAX_TEXT, 'more character')})"


def first_line(error: BaseException) -> str:
    """Return the first line of the error's message, without secrets, so that it can be cut; its type if it has none, as a timeout."""
    from .redact import redact

    return (redact(str(error)).strip().splitlines() or [type(error).__name__])[0]


class UserError(Exception):
    """An error that the user can fix, with all problems found."""

    exit_code = 1

    def __init__(self, *problems: Problem | str, hint: str = "") -> None:
        self.problems = [p if isinstance(p, Problem) else Problem(Location(""), p, hint, "environment") for p in problems]
        super().__init__("\n".join(map(str, self.problems)))


class GateError(UserError):
    """A check failed that the recipe sets or that is on by default."""

    exit_code = 3


class Interrupted(UserError):
    """Stopped by a signal; the run can be resumed."""

    exit_code = 130
