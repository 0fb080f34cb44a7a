"""The tasks by name. A task is a module with the members of `Task`."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, Protocol, cast

from ....converters.reading.records import Drop, Row
from ....schemas.prompts import Prompt
from ...providers.requests import Request
from ..outcomes import Passthrough, Rejected, Rows

# Each is a module in this folder. To add one: a module and a line here; `UPDATE_GOLDEN=1 pytest` writes its options into the schema.
TASKS = ("ask", "label", "rewrite", "scenarios", "self_cognition")


class Task(Protocol):
    """The members of a task module.

    VERSION goes up whenever the same reply would give different rows. REFUSALS_ARE_ANSWERS: a refusal is a row too.
    """

    VERSION: int
    REFUSALS_ARE_ANSWERS: bool

    def requests(self, rows: Iterable[Row], prompt: Prompt | None, seed: int, **options: Any) -> Iterator[Request | Passthrough | Drop]:
        """Yield requests, lazily and always in the same order, rows that need no request, and drops."""
        ...

    def parse_reply(self, request: Request, reply: str, **options: Any) -> Rows | Rejected:
        """Return the rows that a reply gives, or why it gives none."""
        ...


def task(name: str) -> Task:
    """Return the task called `name` (one of TASKS)."""
    return cast(Task, import_module(f".{name}", __package__))
