"""Recognise the log of a messenger: dated messages of a few people, without the id of a conversation."""

import io
import re
from collections import Counter
from collections.abc import Iterator

from ...converters.reading.records import Row
from ...converters.sources.chat_log import INPUT, seconds
from .candidate import Candidate, changed
from .columns import TEXT, Columns
from .nested import all_levels

_HELPER = re.compile(r"\b(?:bot|agent|assistant|support|help ?desk)\b", re.IGNORECASE)
_THREAD = "thread_ts"  # of Slack
_PAUSE = 3600  # seconds: with a longer one, a message opens a conversation
PEOPLE = 3  # at most so many are proposed as the assistant


def logs_of_rows(rows: list[dict[str, object]]) -> Iterator[Candidate]:
    """Yield a candidate for each person who may be the assistant; none if the rows are no log."""
    columns = Columns(all_levels(rows))
    speaker, time, text = columns.speaker(), columns.time(), columns.named(TEXT)
    if not (speaker and time and text):
        return
    spoken = [(str(row[speaker]), row[time]) for row in columns.rows if row.get(speaker) and row.get(text) and row.get(time)]
    thread = _THREAD if _THREAD in columns.names else None
    people = _likeliest_assistants(spoken)
    for assistant in people[:PEOPLE]:
        options = changed(
            assistant=(assistant, "assistant"), speaker_key=(speaker, "from"), text_key=(text, "text"), time_key=(time, "date"),
            thread_key=(thread, None),
        )  # fmt: skip
        user = f"{people[1 - people.index(assistant)]} is the user" if len(people) == 2 else "the others are the user"
        yield Candidate("chat_log", "chat", options, f"each row is a dated message; {assistant} is the assistant; {user}", doubt=True)


def logs_of_text(head: bytes) -> Iterator[Candidate]:
    """Yield the candidates for a text with these first bytes; none if it is not the log of a messenger."""
    reader = INPUT(head)
    if callable(reader):
        rows = [row.value for row in reader(io.BytesIO(head), "") if isinstance(row, Row)]
        yield from logs_of_rows(rows)


def _likeliest_assistants(spoken: list[tuple[str, object]]) -> list[str]:
    """Return the people, first those whose name says that they help, then those who reply most, and open the fewest conversations."""
    score: Counter[str] = Counter()
    before = None
    for person, time in spoken:
        at = seconds(time)
        opens = before is None or at is None or not 0 <= at - before < _PAUSE
        score[person] += -1 if opens else 1
        before = at
    return sorted(score, key=lambda person: (not _HELPER.search(person), -score[person]))
