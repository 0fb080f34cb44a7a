"""Recognise the log of a messenger: dated messages of a few people, without the id of a conversation."""

import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from ...converters.reading.records import Row
from ...converters.sources.chat_log import INPUT, seconds
from ...schemas.base.counted import counted
from .candidate import Candidate, changed
from .columns import TEXT, Columns
from .nested import all_levels

_HELPER = re.compile(r"\b(?:bot|agent|assistant|support|help ?desk)\b", re.IGNORECASE)
_THREAD = "thread_ts"  # of Slack
_PAUSES = (60, 240, 1440)  # minutes that may end a conversation
_TOGETHER = 0.5  # share of the messages that should follow another before a pause
PEOPLE = 3  # at most so many are proposed as the assistant


def logs_of_rows(rows: list[dict[str, object]]) -> Iterator[Candidate]:
    """Yield a candidate for each person who may be the assistant; none if the rows are no log."""
    columns = Columns(all_levels(rows))
    speaker, time, text = columns.speaker(), columns.time(), columns.named(TEXT)
    if not (speaker and time and text):
        return
    whole = text.removesuffix("[]")  # where a link makes a text of Telegram a list of parts; the converter reads both
    spoken = [
        (str(row[speaker]), row[time]) for row in columns.rows if row.get(speaker) and row.get(time) and (row.get(text) or row.get(whole))
    ]
    thread = _THREAD if _THREAD in columns.names else None
    pause = _pause([seconds(time) for _, time in spoken])
    people = _likeliest_assistants(spoken, pause)
    for assistant in people[: 1 if _HELPER.search(people[0]) else PEOPLE]:
        options = changed(
            assistant=(assistant, "assistant"), speaker_key=(speaker, "from"), text_key=(whole, "text"), time_key=(time, "date"),
            thread_key=(thread, None),
        ) | ({"gap_minutes": pause} if pause != _PAUSES[0] else {})  # fmt: skip
        user = f"{people[1 - people.index(assistant)]} is the user" if len(people) == 2 else "the others are the user"
        slow = f"; conversations end before a pause of {counted(pause // 60, 'hour')}" if "gap_minutes" in options else ""
        yield Candidate("chat_log", "chat", options, f"each row is a dated message; {assistant} is the assistant; {user}{slow}", doubt=True)


def logs_of_text(head: bytes) -> Iterator[Candidate]:
    """Yield the candidates for a text with these first bytes; none if it is not the log of a messenger."""
    reader = INPUT(head)
    if callable(reader):
        rows = [row.value for row in reader(io.BytesIO(head), "") if isinstance(row, Row)]
        yield from logs_of_rows(rows)


def _pause(times: list[float | None]) -> int:
    """Return the shortest pause before which at least half of the messages follow another; the shortest of all if none does."""
    between = [after - before for before, after in pairwise(times) if before is not None and after is not None]
    for minutes in _PAUSES:
        if sum(0 <= gap < 60 * minutes for gap in between) >= _TOGETHER * len(times):
            return minutes
    return _PAUSES[0]


def _likeliest_assistants(spoken: list[tuple[str, object]], pause: int) -> list[str]:
    """Return the people, first those whose name says that they help, then those who reply most, and open the fewest conversations."""
    score: Counter[str] = Counter()
    before = None
    for person, time in spoken:
        at = seconds(time)
        opens = before is None or at is None or not 0 <= at - before < 60 * pause
        score[person] += -1 if opens else 1
        before = at
    return sorted(score, key=lambda person: (not _HELPER.search(person), -score[person]))
