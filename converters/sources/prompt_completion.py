"""A prompt and its completion, as texts or as lists of messages (TRL's two forms).

    {"prompt": "What is the opposite of fear?", "completion": "Courage, most would say."}

As chat, the prompt is asked and the completion trained, after the row's system prompt if it has one.
As text (a base model's continuation), a template joins them.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from ...schemas.options import Text, only_for, template
from ..reading.records import Drop, Record, Row
from .alpaca import missing_keys
from .messages import Unsupported, message_of, with_system
from .turns import chat_messages, fill

VERSION = 4
RECORD_TYPES = ("chat", "text")
INPUT = "values"
STATELESS = True
ANSWER = {"chat": "completion_key"}


def convert(
    rows: Iterable[Row],
    record_type: str = "chat",
    *,
    prompt_key: Annotated[Text, "The key of the prompt."] = "prompt",
    completion_key: Annotated[Text, "The key of the completion."] = "completion",
    system_key: Annotated[Text, only_for("chat"), "The key of a row's system prompt, if it has one."] = "system",
    text_template: Annotated[
        Text, template("prompt", "completion"), only_for("text"), "How `{prompt}` and `{completion}` become a text, for text records."
    ] = "{prompt}{completion}",
    keep_meta: Annotated[Iterable[str], "Keys of the row to keep in meta."] = (),
) -> Iterator[Record | Drop]:
    """Yield one record per row."""
    kept = tuple(keep_meta)
    for row in rows:
        if missing := missing_keys(row.value, prompt_key, completion_key):
            yield Drop(row, "missing_key", missing)
            continue
        prompt, completion = row.value[prompt_key], row.value[completion_key]
        meta = {key: row.value[key] for key in kept if key in row.value}
        if record_type == "chat":
            try:
                yield Record(row, {"messages": _messages(prompt, completion, row.value.get(system_key))}, meta)
            except Unsupported as error:
                yield Drop(row, error.reason, str(error))
        elif isinstance(prompt, str) and isinstance(completion, str):
            yield Record(row, {"text": fill(text_template, prompt=prompt, completion=completion)}, meta)
        else:
            yield Drop(row, "not_text", "prompt and completion must be texts to be joined into one")


def _messages(prompt: Any, completion: Any, system: Any) -> list[dict[str, Any]]:
    if not isinstance(prompt, list) or not isinstance(completion, list):
        messages = chat_messages([(prompt, completion)])
    else:
        asked = [message_of(turn) for turn in prompt]
        if any(message.get("train") for message in asked):
            raise Unsupported("a message of the prompt has train: true: the converter messages trains it", "trained_prompt")
        messages = [{**message, "train": False} for message in asked] + [message_of(turn) for turn in completion]
    return with_system(messages, system) if system and messages else messages
