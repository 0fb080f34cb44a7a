"""Read and write OpenAI's chat completions: requests, replies and errors as values."""

import time
from typing import Any, NamedTuple

MAX_MESSAGES = MAX_TEXTS = 1000
_ROLES = ("system", "user", "assistant", "tool")
# name -> (default, kinds, lowest, highest)
_NUMBERS: dict[str, tuple[Any, tuple[type, ...], float, float]] = {
    "temperature": (1.0, (int, float), 0, 2),
    "top_p": (1.0, (int, float), 1e-9, 1),
    "repetition_penalty": (1.0, (int, float), 1e-9, 2),
    "seed": (None, (int,), -(2**63), 2**63 - 1),
    "max_tokens": (None, (int,), 1, 1_000_000),
    "max_completion_tokens": (None, (int,), 1, 1_000_000),
}
# A parameter without effect is refused, unless it has its neutral value.
_KNOWN = {*_NUMBERS, "model", "messages", "stream", "stream_options", "user", "n", "stop", "metadata", "store"}
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0, None), "presence_penalty": (0, None), "logprobs": (False, None), "logit_bias": ({}, None),
    "response_format": ({"type": "text"}, None), "tools": ([], None), "n": (1, None), "stop": ([], None),
}  # fmt: skip
# Keys of a message that are read, or that clients send and templates do not read.
_OF_A_MESSAGE = ("role", "content", "name", "tool_call_id", "refusal", "annotations")


class BadRequest(Exception):
    """A request that cannot be served; `parameter` names the cause."""

    def __init__(self, what: str, parameter: str | None = None, code: str | None = None) -> None:
        super().__init__(what)
        self.parameter = parameter
        self.code = code


class ChatRequest(NamedTuple):
    """A checked request."""

    messages: list[dict[str, str]]
    temperature: float
    top_p: float
    repetition_penalty: float
    seed: int | None
    max_new_tokens: int | None
    stream: bool
    include_usage: bool


def read_request(body: Any) -> ChatRequest:
    """Read a chat request from a JSON body. Raises BadRequest for invalid requests and for parameters that would be ignored."""
    if not isinstance(body, dict):
        raise BadRequest("expected a JSON object")
    for name, value in body.items():
        if name in _NEUTRAL and value in _NEUTRAL[name]:
            continue
        if name not in _KNOWN or name in _NEUTRAL:
            raise BadRequest(f"{name} has no effect here", name)
    numbers = {name: _number(body, name) for name in _NUMBERS}
    if not isinstance(body.get("stream", False), bool | None):
        raise BadRequest("stream must be true or false", "stream")
    options = body.get("stream_options") or {}
    longest = numbers["max_completion_tokens"] if numbers["max_completion_tokens"] is not None else numbers["max_tokens"]
    return ChatRequest(
        _messages(body.get("messages")), numbers["temperature"], numbers["top_p"], numbers["repetition_penalty"], numbers["seed"], longest,
        bool(body.get("stream")), isinstance(options, dict) and bool(options.get("include_usage")),
    )  # fmt: skip


class TextsRequest(NamedTuple):
    """Texts to classify. With `truncate`, texts that are too long are cut, otherwise they are refused."""

    texts: list[str]
    truncate: bool


def read_texts(body: Any) -> TextsRequest:
    """Read a classification request from a JSON body. Raises BadRequest for invalid requests and for parameters that would be ignored."""
    if not isinstance(body, dict):
        raise BadRequest("expected a JSON object")
    neutral: dict[str, tuple[Any, ...]] = {"truncate_prompt_tokens": (-1, None), "add_special_tokens": (True, None), "priority": (0, None)}
    for name, value in body.items():
        if name not in ("model", "input", "user") and value not in neutral.get(name, ()):
            raise BadRequest(f"{name} has no effect here", name)
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not 0 < len(texts) <= MAX_TEXTS or not all(isinstance(text, str) and text.strip() for text in texts):
        raise BadRequest(f"input must be a text or a list of 1 to {MAX_TEXTS} texts, none of them blank", "input")
    return TextsRequest(texts, body.get("truncate_prompt_tokens") == -1)


def classification(identity: str, model: str, labels: list[str], found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return labels with probabilities, in the order of the model's labels, in the format of vLLM's /classify."""
    data = [
        {"index": index, "label": one["label"], "probs": [one["probabilities"][label] for label in labels], "num_classes": len(labels)}
        for index, one in enumerate(found)
    ]
    return _head(identity, model, "list") | {"data": data, "usage": usage(sum(one["tokens_seen"] for one in found), 0)}


def _number(body: dict[str, Any], name: str) -> Any:
    default, kinds, lowest, highest = _NUMBERS[name]
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, kinds) or not lowest <= value <= highest:
        raise BadRequest(f"{name} must be a number from {lowest:g} to {highest:g}", name)
    return value


def _messages(messages: Any) -> list[dict[str, str]]:
    if not isinstance(messages, list) or not 0 < len(messages) <= MAX_MESSAGES:
        raise BadRequest(f"messages must be a list of 1 to {MAX_MESSAGES} messages", "messages")
    found = []
    for index, message in enumerate(messages):
        role, content = (message.get("role"), message.get("content")) if isinstance(message, dict) else (None, None)
        if isinstance(content, list):  # content parts; only text is supported
            readable = all(isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str) for part in content)
            content = "".join(part["text"] for part in content) if readable else None
        if role not in _ROLES or not isinstance(content, str):
            raise BadRequest(f"messages[{index}] needs a role ({', '.join(_ROLES)}) and text as content", "messages")
        if unread := [key for key, value in message.items() if key not in _OF_A_MESSAGE and value not in (None, [], {}, "")]:
            raise BadRequest(f"messages[{index}].{unread[0]} has no effect here", "messages")
        found.append({"role": role, "content": content})
    return found


def completion(identity: str, model: str, text: str, finish: str, usage: dict[str, int]) -> dict[str, Any]:
    """Return a complete reply."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish, "logprobs": None}
    return _head(identity, model, "chat.completion") | {"choices": [choice], "usage": usage}


def chunk(identity: str, model: str, delta: dict[str, str], finish: str | None) -> dict[str, Any]:
    """Return a part of a streamed reply."""
    return _head(identity, model, "chat.completion.chunk") | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def usage_chunk(identity: str, model: str, usage: dict[str, int]) -> dict[str, Any]:
    """Return the last part of a streamed reply, sent if requested."""
    return _head(identity, model, "chat.completion.chunk") | {"choices": [], "usage": usage}


def usage(prompt: int, completed: int) -> dict[str, int]:
    """Return the numbers of tokens used."""
    return {"prompt_tokens": prompt, "completion_tokens": completed, "total_tokens": prompt + completed}


def error_body(what: str, kind: str, parameter: str | None = None, code: str | None = None) -> dict[str, Any]:
    """Return an error in OpenAI's format."""
    return {"error": {"message": what, "type": kind, "param": parameter, "code": code}}


def _head(identity: str, model: str, kind: str) -> dict[str, Any]:
    return {"id": identity, "object": kind, "created": int(time.time()), "model": model}
