"""Messages of a chat log, as Slack, Discord, Telegram and WhatsApp export them.

    {"from": "Lena", "date": "2026-08-01T09:00:00", "text": "When do you open on Sunday?"}
    {"from": "Tom", "date": "2026-08-01T09:01:10", "text": "We open at ten."}

One person is the assistant, whose messages are trained; the others are the user. Messages that follow each other on one side become one. A
conversation ends before a pause of `gap_minutes`, and with its file; with `thread_key`, the messages of a thread are one conversation. Rows
without a text or a person, such as events, and deleted messages are left out and counted; so are messages that nobody answers, and those of
the assistant that open a conversation. The text that WhatsApp exports is read as such rows (converters/reading/whatsapp.py).
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, groupby
from pathlib import PurePath
from typing import Annotated, Any, NamedTuple

from ...schemas.options import Positive, Text
from ..reading.readers import Reader, Reads
from ..reading.records import Drop, Record, Row, joined
from ..reading.whatsapp import whatsapp_reader
from .key_paths import NoValue, value_at
from .verdicts import GONE, VERDICTS

VERSION = 5
RECORD_TYPES = ("chat",)
STATELESS = False  # a conversation has many rows
_EVENTS = {  # that have a text: subtypes of Slack, types of Discord and Messenger
    *(f"{where}_{what}" for where in ("channel", "group") for what in ("join", "leave", "topic", "purpose", "name")),
    *("channel_archive", "channel_unarchive", "group_archive", "group_unarchive"),
    *("channel_convert_to_private", "channel_convert_to_public", "channel_posting_permissions", "app_conversation_join", "tombstone"),
    *("bot_add", "bot_remove", "bot_enable", "bot_disable", "pinned_item", "unpinned_item"),
    *("reminder_add", "huddle_thread", "sh_room_created"),
    *("GuildMemberJoin", "RecipientAdd", "RecipientRemove", "ChannelNameChange", "ChannelIconChange", "ChannelPinnedMessage", "Call"),
    *("ThreadCreated", "Subscribe", "Unsubscribe"),
}


_CHANGES = 5  # of the time, at the beginning of a file, that show its order
_LATEST = 1e11  # seconds since 1970 of a time in the year 5138; a larger number counts thousandths, or thousandths of these


def INPUT(head: bytes) -> Reads | Reader:
    """Return the reader of WhatsApp's text, or `values` for any other file."""
    return whatsapp_reader(head) or "values"


class _Message(NamedTuple):
    """A row's message: who wrote it, when (seconds since 1970), what, and in which thread."""

    row: Row
    by_assistant: bool
    at: float
    text: str
    thread: Any = None


def convert(
    rows: Iterable[Row],
    record_type: str = "chat",
    *,
    assistant: Annotated[Text, "The person whose messages are trained."] = "assistant",
    speaker_key: Annotated[Text, "The key of the person who wrote a message."] = "from",
    text_key: Annotated[Text, "The key of a message's text."] = "text",
    time_key: Annotated[Text, "The key of a message's time: ISO 8601, or seconds or milliseconds since 1970."] = "date",
    thread_key: Annotated[Text | None, "The key of a message's thread, if it is in one: `thread_ts` for Slack."] = None,
    gap_minutes: Annotated[Positive, "A pause of so many minutes ends a conversation."] = 60,
) -> Iterator[Record | Drop]:
    """Yield one chat per conversation; those of threads, whose messages others interrupt, at the end."""
    conversation: list[_Message] = []
    threads: dict[tuple[Any, ...], list[_Message]] = {}
    for found in _in_order(_message(row, assistant, speaker_key, text_key, time_key, thread_key) for row in rows):
        if isinstance(found, Drop):
            yield found
            continue
        if found.thread not in (None, ""):
            threads.setdefault((PurePath(found.row.file).parent, str(found.thread)), []).append(found)
            continue
        before = conversation[-1] if conversation else found
        if before.row.file != found.row.file or not 0 <= found.at - before.at < gap_minutes * 60:
            yield from _chat(conversation)
            conversation = []
        conversation.append(found)
    yield from _chat(conversation)
    for messages in threads.values():
        yield from _chat(messages)


def _in_order(messages: Iterable[_Message | Drop]) -> Iterator[_Message | Drop]:
    """Yield the messages; drops for those of a file that begins with its newest: each reply would come before its question."""
    for _, of_file in groupby(messages, lambda found: found.row.file):
        opening: list[_Message | Drop] = []
        changes: list[bool] = []  # of the time: whether the next message is an earlier one
        at: float | None = None
        while len(changes) < _CHANGES and (found := next(of_file, None)) is not None:
            opening.append(found)
            if isinstance(found, _Message):
                changes += [found.at < at] if at is not None and found.at != at else []
                at = found.at
        is_reversed = sum(changes) > len(changes) / 2
        for found in chain(opening, of_file):
            yield Drop(found.row, "newest_first", "the messages are in reverse order: sort them by their time") if is_reversed else found


def _message(row: Row, assistant: str, speaker_key: str, text_key: str, time_key: str, thread_key: str | None) -> _Message | Drop:
    value = row.value
    if not isinstance(value, dict):
        return Drop(row, "not_a_message", "expected an object")
    try:
        speaker, text, time = value_at(value, speaker_key), _text(value_at(value, text_key)), value_at(value, time_key)
        thread = value_at(value, thread_key) if thread_key else None
    except NoValue as why:
        return Drop(row, why.reason, str(why), filtered=why.filtered)
    if any(key in value and VERDICTS[key][0](value[key]) for key in GONE):
        return Drop(row, "taken_back", filtered=True)
    if isinstance(content := dict.get(value, "content"), dict) and "m.new_content" in content:
        return Drop(row, "edit_of_an_earlier_message", filtered=True)  # of Matrix: it repeats that message
    if not speaker or not text.strip() or not {str(value.get("subtype")), str(value.get("type"))}.isdisjoint(_EVENTS):
        return Drop(row, "no_message", filtered=True)
    if (at := seconds(time)) is None:
        return Drop(row, "no_time", f"{time_key!r} is {time!r:.40}: neither ISO 8601 nor seconds since 1970")
    return _Message(row, str(speaker) == assistant, at, text, thread)


def _text(value: Any) -> str:
    """Return the text; Telegram writes one with links as a list of parts."""
    parts = value if isinstance(value, list) else [value]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return "".join(text for text in texts if isinstance(text, str))


def seconds(time: Any) -> float | None:
    """Return a time as seconds since 1970, of which it may count thousandths; None if it is neither that nor ISO 8601."""
    try:
        since = float(time)
        for _ in range(3):
            since = since / 1000 if since > _LATEST else since
        return since
    except (TypeError, ValueError):
        pass
    try:
        found = datetime.fromisoformat(time.replace("/", "-"))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (AttributeError, ValueError, OverflowError):
        return None


def _chat(messages: list[_Message]) -> Iterator[Record | Drop]:
    """Yield the conversation from its first question to its last reply, and a drop for each message around it."""
    asked = next((number for number, message in enumerate(messages) if not message.by_assistant), len(messages))
    end = next((number for number in range(len(messages), asked, -1) if messages[number - 1].by_assistant), asked)
    for number, message in enumerate(messages):
        if not asked <= number < end:
            yield Drop(message.row, "no_question" if number < asked else "no_reply", filtered=True)
    if kept := messages[asked:end]:
        sides = groupby(kept, lambda message: message.by_assistant)
        turns = [("assistant" if by_assistant else "user", "\n".join(one.text for one in side)) for by_assistant, side in sides]
        yield Record(joined(message.row for message in kept), {"messages": [{"role": role, "content": text} for role, text in turns]})
