"""A generate section with its task, prompts and input: the requests, their providers, and the outcome of replies. Opens only its input."""

import random
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import accumulate, chain, islice, zip_longest
from pathlib import Path
from typing import NamedTuple

import orjson

from ...converters.building.batches import file_rows, without_drops
from ...converters.building.chat_checks import record_fault
from ...converters.building.row_account import convert_rows
from ...converters.reading.files import source_files
from ...converters.reading.records import Drop, Row
from ...converters.sources.registry import converter
from ...schemas.generate_sections import Generate
from ...schemas.prompts import Prompt, load_prompt
from ..providers.endpoints import Endpoint
from ..providers.requests import ProviderRequest, Reply, Request, seed_of
from .filters import unusable
from .outcomes import Passthrough, Rejected, Rows
from .tasks import Task, task


class Job(NamedTuple):
    """What a recipe wants to generate."""

    generate: Generate
    task: Task
    prompts: tuple[Prompt | None, ...]
    most: int | None = None  # items, of all that the task has

    @classmethod
    def of(cls, generate: Generate) -> "Job":
        """Return the job with its prompts read. Raises UserError if a prompt is not valid."""
        return cls(generate, task(generate.task), tuple(map(load_prompt, generate.prompts)) or (None,))

    def items(self) -> Iterator[Request | Passthrough | Drop]:
        """Yield what is requested, passed through and dropped, in input order; the same at every call."""
        unreadable: list[Drop] = []
        yield from islice(self._items(unreadable), self.most)
        yield from unreadable

    def task_items(self) -> Iterator[Request | Passthrough | Drop]:
        """Yield all items of the task, without unreadable input."""
        return self._items([])

    def _items(self, unreadable: list[Drop]) -> Iterator[Request | Passthrough | Drop]:
        first, *others = (
            self.task.requests(self._rows(unreadable), prompt, self.generate.seed, **self.generate.options) for prompt in self.prompts
        )
        if not others:
            return first
        asked = ((item for item in items if isinstance(item, Request)) for items in others)  # a drop counts once
        return _in_turn([first, *asked], self.generate.prompts)

    def requests(self) -> Iterator[Request]:
        """Yield only requests."""
        return (item for item in self.items() if isinstance(item, Request))

    def _rows(self, unreadable: list[Drop]) -> Iterator[Row]:
        if self.generate.input is None:
            return
        name = self.generate.converter
        made = converter(name) if name else None
        reads = made.INPUT if made else "values"
        rows = without_drops(islice(file_rows(source_files(self.generate.input), reads), self.generate.limit), unreadable)
        if not (made and name):
            yield from rows
            return
        record_type = made.RECORD_TYPES[0]
        for item in convert_rows(name, rows, record_type, self.generate.converter_options):
            if isinstance(item, Drop):
                unreadable.append(item)
            elif fault := record_fault(record_type, item.fields):
                unreadable.append(Drop(item.row, *fault))
            else:
                yield item.row._replace(value={**item.fields, "metadata": item.meta})

    def asked(self, request: Request, attempt: int, endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ProviderRequest]:
        """Return the provider and the request to it. Repetitions and retries of a prompt differ in the seed."""
        endpoint = chosen(endpoints, f"{self.generate.seed} {request.row} {request.repetition}")
        seed = seed_of(self.generate.seed + request.repetition, attempt)
        return endpoint, ProviderRequest(endpoint.provider, endpoint.identity, request.messages, self.generate.sampling, seed)

    def usable(self, request: Request, reply: Reply) -> bool:
        """Return whether the reply settles the request: it gives rows, or the recipe filters them out."""
        outcome = self.outcome(request, reply)
        return isinstance(outcome, Rows) or outcome.filtered

    def outcome(self, request: Request, reply: Reply) -> Rows | Rejected:
        """Return the rows of a reply, or why there are none."""
        found = unusable(reply, self.task.REFUSALS_ARE_ANSWERS, self.generate.filters.keep_cut)
        return found or self.task.parse_reply(request, reply.text, **self.generate.options)


def _in_turn(streams: Sequence[Iterator[Request | Passthrough | Drop]], names: Sequence[str]) -> Iterator[Request | Passthrough | Drop]:
    """Yield one item from each stream in turn; a request records its prompt."""
    named = [_of_prompt(items, Path(name).stem) for items, name in zip(streams, names, strict=True)]
    return (item for item in chain.from_iterable(zip_longest(*named)) if item is not None)


def _of_prompt(items: Iterator[Request | Passthrough | Drop], name: str) -> Iterator[Request | Passthrough | Drop]:
    for item in items:
        yield item._replace(about={**item.about, "prompt": name}) if isinstance(item, Request) else item


def chosen(endpoints: Sequence[Endpoint], name: str) -> Endpoint:
    """Choose an endpoint by weight, as a function of the name, so that a resumed job asks the same ones."""
    if len(endpoints) == 1:
        return endpoints[0]
    ends = list(accumulate(endpoint.weight for endpoint in endpoints))
    point = random.Random(blake2b(name.encode(), digest_size=8).digest()).random() * ends[-1]
    return next(endpoint for endpoint, end in zip(endpoints, ends, strict=True) if point < end)


def as_line(value: object) -> bytes:
    """Return a JSON line."""
    return orjson.dumps(value) + b"\n"
