"""A generate section with its task, prompts and input: what is asked, of whom, and what a reply comes to. Opens only its input."""

import random
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate, islice
from typing import NamedTuple

import orjson

from ...converters.reading.files import source_files
from ...converters.reading.readers import read_file
from ...converters.reading.records import Drop, Row
from ...schemas.generate_sections import Generate
from ...schemas.prompts import Prompt, load_prompt
from ..providers.endpoints import Endpoint
from ..providers.requests import SEEDS, ProviderRequest, Reply, Request
from .filters import unusable
from .outcomes import Passthrough, Rejected, Rows
from .tasks import Task, task


class Job(NamedTuple):
    """What a recipe wants to be generated."""

    generate: Generate
    task: Task
    prompt: Prompt | None

    @classmethod
    def of(cls, generate: Generate) -> "Job":
        """The job, its prompt read. Raises UserError when that is no prompt."""
        return cls(generate, task(generate.task), load_prompt(generate.prompt) if generate.prompt else None)

    def items(self) -> Iterator[Request | Passthrough | Drop]:
        """What is asked, given and dropped, in the order of the input; the same at every call."""
        unreadable: list[Drop] = []
        rows = self._rows(unreadable)
        yield from self.task.requests(rows, self.prompt, self.generate.seed, **self.generate.options)
        yield from unreadable

    def requests(self) -> Iterator[Request]:
        """Only what is asked."""
        return (item for item in self.items() if isinstance(item, Request))

    def _rows(self, unreadable: list[Drop]) -> Iterator[Row]:
        if self.generate.input is None:
            return
        files = source_files(self.generate.input)
        found = (row for file in files for row in read_file(file, "values")[1])
        for row in islice(found, self.generate.limit):
            if isinstance(row, Drop):
                unreadable.append(row)
            else:
                yield row

    def asked(self, request: Request, attempt: int, endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ProviderRequest]:
        """Who is asked, and how. The seed tells repetitions and further attempts of one prompt apart."""
        endpoint = chosen(endpoints, f"{self.generate.seed} {request.row} {request.repetition}")
        seed = (self.generate.seed + request.repetition + attempt * 1_000_003) % SEEDS
        return endpoint, ProviderRequest(endpoint.provider, endpoint.identity, request.messages, self.generate.sampling, seed)

    def usable(self, request: Request, reply: Reply) -> bool:
        """Whether the reply gives rows."""
        return isinstance(self.outcome(request, reply), Rows)

    def outcome(self, request: Request, reply: Reply) -> Rows | Rejected:
        """What the reply comes to."""
        found = unusable(reply, self.task.REFUSALS_ARE_ANSWERS, self.generate.filters.keep_cut)
        return found or self.task.parse_reply(request, reply.text, **self.generate.options)


def chosen(endpoints: Sequence[Endpoint], name: str) -> Endpoint:
    """One of the endpoints by weight: a function of the name alone, so that a resumed job asks the same ones."""
    if len(endpoints) == 1:
        return endpoints[0]
    ends = list(accumulate(endpoint.weight for endpoint in endpoints))
    point = random.Random(blake2b(name.encode(), digest_size=8).digest()).random() * ends[-1]
    return next(endpoint for endpoint, end in zip(endpoints, ends, strict=True) if point < end)


def as_line(value: object) -> bytes:
    """A JSON line."""
    return orjson.dumps(value) + b"\n"
