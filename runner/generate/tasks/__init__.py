"""The tasks, by name. A module is a task: it has what `Task` lists."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, Protocol, cast

from ....converters.reading.records import Drop, Row
from ....schemas.prompts import Prompt
from ...providers.requests import Request
from ..outcomes import Passthrough, Rejected, Rows

# Each is a module of this folder. A new one is a module and a line here; `UPDATE_GOLDEN=1 pytest` writes its options into the schema.
TASKS = ("ask", "label", "rewrite", "scenarios", "self_cognition")


class Task(Protocol):
    """What a task module has.

    VERSION goes up whenever the same reply would give other rows. REFUSALS_ARE_ANSWERS says that a refusal is a row too.
    """

    VERSION: int
    REFUSALS_ARE_ANSWERS: bool

    def requests(self, rows: Iterable[Row], prompt: Prompt | None, seed: int, **options: Any) -> Iterator[Request | Passthrough | Drop]:
        """What to ask, lazily and always in the same order; rows that need no asking; rows that nothing can be asked about."""
        ...

    def parse_reply(self, request: Request, reply: str, **options: Any) -> Rows | Rejected:
        """The rows that a reply gives, or why it gives none."""
        ...


def task(name: str) -> Task:
    """The task called `name` (one of TASKS)."""
    return cast(Task, import_module(f".{name}", __package__))
