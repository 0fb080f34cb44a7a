"""ChatGPT's export of one's own conversations (conversations.json): trees of messages, whose last branch is read.

    {"title": "Opening hours", "current_node": "c", "mapping": {
      "a": {"parent": null, "message": null},
      "b": {"parent": "a", "message": {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["When do you open?"]}}},
      "c": {"parent": "b", "message": {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": ["At ten."]}}}}}

Only what text alone explains is trained: a conversation ends before its first tool call, image or attached file. Other branches, reasoning,
memories and custom instructions are left out, and a reply that was stopped is masked. Rows with any of these are counted by its name.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NamedTuple

from ..reading.records import Drop, Record, Row

VERSION = 1
RECORD_TYPES = ("chat",)
INPUT = "values"
STATELESS = True
SIGNATURES = ({"mapping", "current_node"},)
# `convert` accounts for every message of the tree; the others describe the conversation, and are read if keep_meta names them.
UNUSED_KEYS = (
    "mapping", "id", "conversation_id", "title", "create_time", "update_time", "default_model_slug", "moderation_results", "is_archived",
    "is_starred", "is_study_mode", "is_read_only", "is_do_not_remember", "safe_urls", "blocked_urls", "plugin_ids", "disabled_tool_ids",
    "conversation_template_id", "conversation_origin", "gizmo_id", "gizmo_type", "voice", "async_status", "memory_scope", "context_scopes",
    "sugar_item_id", "sugar_item_visible", "owner", "pinned_time",
)  # fmt: skip

_REASONING = ("thoughts", "reasoning_recap")
_STOPPED = ("finished_partial_completion", "in_progress")
_SPEECH = ("audio_transcription", "audio_asset_pointer", "real_time_user_audio_video_asset_pointer")
_MEMORY = "bio"  # the tool that notes what is to be remembered


class _Said(NamedTuple):
    """A message of the chat. One that was stopped is not trained."""

    role: str
    text: str
    stopped: bool = False


class _LeftOut(NamedTuple):
    """What is left out of the chat, which goes on without it."""

    what: str


class _End(NamedTuple):
    """What the chat ends before."""

    what: str


def convert(
    rows: Iterable[Row],
    record_type: str = "chat",
    *,
    custom_instructions: Annotated[bool, "Make the custom instructions of a conversation its system prompt."] = False,
    keep_meta: Annotated[Iterable[str], "Keys of the conversation to keep in meta, such as title."] = (),
) -> Iterator[Record | Drop]:
    """Yield one chat per conversation: the branch to its current node, up to its last reply."""
    kept = tuple(keep_meta)
    for row in rows:
        value = row.value if isinstance(row.value, dict) else {}
        nodes = _branch(value.get("mapping"), value.get("current_node"))
        if not nodes:
            yield Drop(row, "no_conversation", "expected a mapping, in which parents lead from current_node to the first message")
            continue
        messages, notes = _chat(nodes, custom_instructions)
        if len(nodes) < len(value["mapping"]):
            notes["other_branches_left_out"] = None
        if any(message["role"] == "assistant" and message.get("train", True) for message in messages):
            meta = {key: value[key] for key in kept if key in value}
            yield Record(row, {"messages": messages}, meta, tuple(notes))
        else:
            yield Drop(row, "no_reply", ", ".join(notes).replace("_", " "), filtered=True)


def _branch(mapping: Any, current: Any) -> list[dict[str, Any]]:
    """Return the nodes from the first to the current one; none if a parent is missing."""
    nodes: dict[str, dict[str, Any]] = {}
    while current is not None:
        node = mapping.get(current) if isinstance(mapping, dict) and isinstance(current, str) else None
        if not isinstance(node, dict) or current in nodes:
            return []
        nodes[current] = node
        current = node.get("parent")
    return [*reversed(nodes.values())]


def _chat(nodes: list[dict[str, Any]], custom_instructions: bool) -> tuple[list[dict[str, Any]], dict[str, None]]:
    """Return the chat that the nodes hold, up to its last reply, and what was done to it."""
    messages: list[dict[str, Any]] = []
    notes: dict[str, None] = {}
    ended = False
    for node in nodes:
        part = _part(node.get("message"), custom_instructions)
        if isinstance(part, _End):
            notes[f"ended_before_{part.what}"] = None
            ended = True
            break
        if isinstance(part, _Said) and part.role == "assistant" and not any(message["role"] == "user" for message in messages):
            part = _LeftOut("opening")
        elif isinstance(part, _Said) and part.role == "system" and messages:
            part = _LeftOut("custom_instructions")
        if isinstance(part, _LeftOut):
            notes[f"{part.what}_left_out"] = None
        elif part:
            _add(messages, part, notes)
    while messages and messages[-1]["role"] != "assistant":
        last = messages.pop()
        if not ended and last["role"] == "user":
            notes["unanswered_question_left_out"] = None
    return messages, notes


def _add(messages: list[dict[str, Any]], said: _Said, notes: dict[str, None]) -> None:
    """Append the message, or join it to one of the same role."""
    message: dict[str, Any] = {"role": said.role, "content": said.text}
    if messages and messages[-1]["role"] == said.role:
        notes["messages_joined"] = None
        first = messages.pop()
        message = {**first, "content": f"{first['content']}\n\n{said.text}"}
    if said.stopped:
        notes["stopped_reply_masked"] = None
        message["train"] = False
    messages.append(message)


def _part(message: Any, custom_instructions: bool) -> _Said | _LeftOut | _End | None:
    """Return what a node's message is for the chat; None if it has no text."""
    if not isinstance(message, dict) or not isinstance(content := message.get("content"), dict):
        return None
    kind, author, to = content.get("content_type"), message.get("author"), message.get("recipient")
    role, name = (author.get("role"), author.get("name")) if isinstance(author, dict) else (None, None)
    about = found if isinstance(found := message.get("metadata"), dict) else {}
    if kind == "user_editable_context":
        texts = (content.get("user_profile"), content.get("user_instructions"), _text(content))
        text = "\n\n".join(text for text in texts if isinstance(text, str) and text)
        return (_Said("system", text) if custom_instructions else _LeftOut("custom_instructions")) if text else None
    if kind in _REASONING:
        return _LeftOut("reasoning")
    if kind == "model_editable_context" or _MEMORY in (name, to):
        return _LeftOut("memory")
    text = _text(content)
    if role == "tool" or to not in (None, "all"):
        return _End("tool_call") if kind != "text" or text != "" else None
    if text is None:
        return _End("media")
    if role not in ("system", "user", "assistant") or kind not in ("text", "multimodal_text", "code"):
        return _End("other_content")
    if not text.strip():
        return None
    if role == "system" or about.get("is_visually_hidden_from_conversation"):
        return _LeftOut("hidden_message")
    if about.get("attachments"):
        return _End("attached_file")
    return _Said(role, text, role == "assistant" and message.get("status") in _STOPPED)


def _text(content: dict[str, Any]) -> str | None:
    """Return the text of a content, also of speech that was transcribed; None if it holds more than text."""
    parts = content.get("parts")
    parts = parts if isinstance(parts, list) else [content.get("text") or ""]
    spoken = [part for part in parts if isinstance(part, dict) and part.get("content_type") in _SPEECH]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts if part not in spoken or "text" in part]
    if not all(isinstance(part, str) or part in spoken for part in parts) or not all(isinstance(text, str) for text in texts):
        return None
    return "\n".join(text for text in texts if text) if texts else None
