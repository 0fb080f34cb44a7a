"""A way to read data files, as `recipe new` proposes it."""

from typing import Any, NamedTuple

from ...schemas.sections import RecordType

ENOUGH = 0.5  # share of the rows: real files have unusable ones
ENOUGH_OF_ONE_FORM = 0.2  # if no other format looks like this


class Candidate(NamedTuple):
    """A way to read the rows, and why. `doubt` says that the rows also allow other ways."""

    converter: str
    record_type: RecordType
    options: dict[str, Any]
    why: str
    enough: float = ENOUGH
    doubt: bool = False

    def on_one_line(self) -> "Candidate":
        """Return the candidate with its reason on one line, as comments need it: the names of columns may have several."""
        return self._replace(why=" ".join(self.why.split()))


def changed(**options: tuple[Any, str | None]) -> dict[str, Any]:
    """Return the options, given with their defaults, whose value is not the default."""
    return {name: value for name, (value, default) in options.items() if value is not None and value != default}
