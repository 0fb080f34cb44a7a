"""Read the chats that WhatsApp exports as text: a row per message, with the keys from, date and text.

    31.12.25, 18:05 - Lena: Are you open tomorrow?         (Android)
    [12/31/25, 6:06:10 PM] Tom: From ten.                  (iPhone)

Dates have the form of the phone's language; the first lines of a file decide whether days or months come first. Lines without a date
continue the message above them. What the app itself writes is in the key notice: what it announces (such a row has no `from`), and what it
writes for a photo, or for a message that was deleted or edited.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import BinaryIO, NamedTuple

from .bounded_lines import MAX_LINE
from .readers import Reader, read_lines
from .records import Drop, Row
from .whatsapp_words import is_apps_own

_MARK = "\u200e"  # invisible; an iPhone writes it before the app's own words
_MARKS = "[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
_SPACE = "[ \u00a0\u202f]"
_HALF = rf"[ap]\.?{_SPACE}?m\.?|[πμ]\.?μ\.?|[صم]|上午|下午|오전|오후|午前|午後"
_AFTERNOON = ("p", "μ", "م", "下午", "오후", "午後")
_BETWEEN = rf"{_MARKS}*(?:\. ?|[/-]){_MARKS}*"
_DATE = rf"(?P<date>(\d{{1,4}}){_BETWEEN}(\d\d?){_BETWEEN}(\d{{1,4}}))\.?(?:{_SPACE}г\.)?[,،]?{_SPACE}+(?:klo{_SPACE}+|kl\.?{_SPACE}+)?"
_CLOCK = rf"(?P<half>(?:{_HALF}){_SPACE}*)?(?P<hour>\d\d?)[:.](?P<minute>\d\d)(?:[:.](?P<second>\d\d))?(?P<late_half>{_SPACE}*(?:{_HALF}))?"
_START = re.compile(rf"{_MARKS}*(?P<iphone>\[)?{_DATE}{_CLOCK}(?:{_SPACE}ч\.)?(?(iphone)\]{_SPACE}?|{_SPACE}[-–]{_SPACE})", re.IGNORECASE)
_SPEAKER = re.compile(r'([^:"“”„«»]{1,80}):(?: |$)')
# What the app writes in a message. Only some of it is marked: see also whatsapp_words.py.
_MEDIA = re.compile(rf"{_MARKS}*(?:<[^<>]+>|\S.*\.\w{{2,5}} \([^()]+\))")
_FILE_NAME = re.compile(r"\S.*\.\w{2,5}")
_EDITED = re.compile(rf"\s*{_MARKS}*<(?:[^\W\d_]+ ){{2,}}[^\W\d_]+\.?>$")

_Order = tuple[int, int, int]  # where in a date its year, month and day are
_YEAR_FIRST, _DAY_FIRST, _MONTH_FIRST = (0, 1, 2), (2, 1, 0), (2, 0, 1)


def whatsapp_reader(head: bytes) -> Reader | None:
    """Return the reader for a file that begins like an export of WhatsApp; None for any other."""
    lines = [line for line in head.decode("utf-8", "ignore").splitlines() if line.strip()]
    starts = [start for line in lines if (start := _START.match(line))]
    if not starts or not _START.match(lines[0]) or not any(_SPEAKER.match(start.string, start.end()) for start in starts):
        return None
    return partial(_read, order=_order_of(starts))


class _Message(NamedTuple):
    """A message that may have more lines."""

    row: Row
    start: re.Match[str]
    lines: list[str]


def _read(stream: BinaryIO, name: str, order: _Order) -> Iterator[Row | Drop]:
    message: _Message | None = None
    size = 0
    for row in read_lines(stream, name):
        if isinstance(row, Drop):
            yield Drop(message.row, row.reason, f"in line {row.row.line}") if message else row
            message = None
        elif start := _START.match(row.value):
            if message:
                yield _row(message, order)
            message, size = _Message(row, start, []), 0
        elif message is None:
            if row.value.strip():
                yield Drop(row._replace(value=None), "no_message", "no line with a date is above it")
        elif (size := size + len(row.value) + 1) > MAX_LINE:
            yield Drop(message.row, "text_too_long", f"more than {MAX_LINE >> 20} million characters")
            message = None
        else:
            message.lines.append(row.value)
    if message:
        yield _row(message, order)


def _row(message: _Message, order: _Order) -> Row | Drop:
    try:
        date = _date(message.start, order).isoformat()
    except ValueError as error:
        return Drop(message.row._replace(value=None), "no_time", f"{message.start['date']}: {error}")
    first = message.row.value[message.start.end() :]
    if not (speaker := _SPEAKER.match(first)):
        return message.row._replace(value={"date": date, "notice": "\n".join((first, *message.lines))})
    text, notice = _without_notice([first[speaker.end() :], *message.lines], bool(message.start["iphone"]))
    name = re.sub(rf"^~{_SPACE}*", "", re.sub(_MARKS, "", speaker[1])).strip()
    return message.row._replace(value={"from": name, "date": date, "text": text, **({"notice": notice} if notice else {})})


def _without_notice(lines: list[str], iphone: bool) -> tuple[str, str]:
    """Return the text of a message, and what the app wrote in it."""
    first, notices = lines[0], []
    if first.startswith(_MARK) or _MEDIA.fullmatch(first) or len(lines) == 1 and is_apps_own(re.sub(_MARKS, "", first)):
        notices, lines = [first], lines[1:]
        if len(lines) == 1 and _FILE_NAME.fullmatch(lines[0]):
            notices, lines = [*notices, *lines], []
    elif iphone and _MARK in first:
        own, _, added = first.partition(_MARK)
        is_document = own.rstrip().endswith("•")  # between the name of a file and what the app says of it
        notices, lines = [first if is_document else added], ["" if is_document else own, *lines[1:]]
    text = "\n".join(lines).strip()
    if edited := _EDITED.search(text):
        notices, text = [*notices, edited[0]], text[: edited.start()]
    return text, re.sub(_MARKS, "", "\n".join(notices)).strip()


def _numbers(start: re.Match[str]) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", start["date"])]


def _date(start: re.Match[str], order: _Order) -> datetime:
    """Return the date and time of a message. Raises ValueError if there is no such day or time."""
    year, month, day = (_numbers(start)[place] for place in order)
    hour, half = int(start["hour"]), (start["half"] or start["late_half"] or "").strip(" \u00a0\u202f").lower()
    if half:
        hour = hour % 12 + 12 * half.startswith(_AFTERNOON)
    return datetime(year + 2000 * (year < 100), month, day, hour, int(start["minute"]), int(start["second"] or 0))


def _order_of(starts: list[re.Match[str]]) -> _Order:
    """Return the order of the file's dates: the one in which all are dates, and none is before the one above it. If that leaves both,
    months come first where the time is written as in the United States."""
    if any(_numbers(start)[0] > 31 for start in starts):
        return _YEAR_FIRST
    ways = [order for order in (_DAY_FIRST, _MONTH_FIRST) if _in_order(starts, order)]
    if len(ways) == 1:
        return ways[0]
    return _MONTH_FIRST if "/" in starts[0]["date"] and (starts[0]["late_half"] or "").endswith(("AM", "PM")) else _DAY_FIRST


def _in_order(starts: list[re.Match[str]], order: _Order) -> bool:
    try:
        dates = [_date(start, order) for start in starts]
    except ValueError:
        return False
    return dates == sorted(dates)
