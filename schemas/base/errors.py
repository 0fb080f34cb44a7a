"""What a person can do wrong, and how it is told.

    UserError            exit 1: the recipe, the data or the environment is at fault
    |- GateError         exit 3: a gate said no (leak, budget, quality)
    `- Interrupted       exit 130: stopped from outside; the run can be resumed

Anything else that escapes is our bug: exit 70, with a traceback to report.
"""

from typing import NamedTuple

MAX_PROBLEMS = 100  # of one file; nobody reads more, and suggestions for thousands of keys take minutes


class Location(NamedTuple):
    """A place in a file. `line` and `column` count from 1; 0 means that the place has none (a whole file, an option)."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])


class Problem(NamedTuple):
    """One thing that is wrong, where it is, and how to fix it. `rule` is a stable kebab-case name for machines."""

    location: Location
    what: str
    hint: str = ""
    rule: str = "invalid"

    def __str__(self) -> str:
        place = f"{self.location}: " if self.location.file else ""
        return f"{place}{self.what}" + (f"\n    hint: {self.hint}" if self.hint else "")


class UserError(Exception):
    """Every problem that was found, at once."""

    exit_code = 1

    def __init__(self, *problems: Problem | str, hint: str = "") -> None:
        self.problems = [p if isinstance(p, Problem) else Problem(Location(""), p, hint, "environment") for p in problems]
        super().__init__("\n".join(map(str, self.problems)))


class GateError(UserError):
    """A check that the recipe asked for (or that is on by default) refused to go on."""

    exit_code = 3


class Interrupted(UserError):
    """Stopped by a signal; nothing is lost."""

    exit_code = 130
