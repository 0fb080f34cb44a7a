"""One request to one provider: sent, awaited, read and checked. A failure is either worth a retry or not."""

import asyncio
import math
from typing import Any, NamedTuple

import httpx2
import openai
import orjson

from ...schemas.base.redact import redact
from .endpoints import Endpoint
from .requests import ProviderRequest, Reply
from .transport import Refused, http_client

_RETRYABLE = (408, 409, 425, 429)
_NOT_FOUND = 404
_FATAL = (401, 402, 403, _NOT_FOUND)
_ENDS = ("stop", "length", "content_filter")  # of a reply
_LONGEST = 300  # characters of what is said of a failure
_MOST_TOKENS = 1 << 24  # no model has a longer context; reasoning may count beyond max_tokens


class CallFailed(Exception):
    """A request got no usable answer. `retryable`: a retry may help; `fatal`: no request to the provider will succeed.

    `retry_after` is the wait in seconds that the provider asked for.
    """

    def __init__(
        self, what: str, *, retryable: bool = False, fatal: bool = False, refused: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(what)
        self.retryable = retryable
        self.fatal = fatal
        self.refused = refused
        self.retry_after = retry_after


class Client(NamedTuple):
    """The openai client of an endpoint."""

    endpoint: Endpoint
    api: openai.AsyncOpenAI
    timeout: float

    @classmethod
    def open(cls, endpoint: Endpoint, connections: int, timeout: float) -> "Client":
        """Open a client that connects only where the recipe allows. It does not retry."""
        http = http_client(endpoint.private_network, connections, timeout)
        client = openai.AsyncOpenAI(
            api_key=endpoint.key or "none", base_url=endpoint.base_url, max_retries=0, timeout=timeout, http_client=http,
            organization="", project="",
        )  # fmt: skip
        return cls(endpoint, client, timeout)

    async def close(self) -> None:
        """Close the connections."""
        await self.api.close()

    async def ask(self, asked: ProviderRequest) -> Reply:
        """Return the reply. Raises CallFailed for any failure. Neither contains a secret, wherever the provider may have put it."""
        try:
            reply = await self._answer(asked)
        except CallFailed as failed:
            line = " ".join(self._clean(str(failed)).split())[:_LONGEST]
            failed.args = (line.encode("utf-8", "backslashreplace").decode(),)  # half a surrogate pair fits in no file
            raise
        text = self._clean(reply.text)
        finish = reply.finish if reply.finish in _ENDS else self._clean(reply.finish)
        return reply._replace(text=text, finish=finish, redacted=text != reply.text)

    async def _answer(self, asked: ProviderRequest) -> Reply:
        """Return the reply as it came. Raises CallFailed."""
        try:
            async with asyncio.timeout(self.timeout):
                return await (self._streamed(asked) if self.endpoint.stream else self._whole(asked))
        except TimeoutError:
            raise CallFailed(f"no complete reply within {self.timeout:g} s", retryable=True) from None
        except openai.APIStatusError as error:
            raise _status(error) from None
        except (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, ValueError) as error:
            raise _broken(error) from None

    async def _whole(self, asked: ProviderRequest) -> Reply:
        """Get a reply in one piece, with the client's plain post: its typed method parses request and reply twice, which takes a fifth of
        the time, and accepts invalid replies.
        """
        response = await self._post(asked, {}, cast_to=httpx2.Response)
        kind = response.headers.get("content-type", "")
        if "json" not in kind:
            raise CallFailed(f"the reply is {kind or 'untyped'}, not JSON", retryable=True)
        return read_completion(orjson.loads(response.content), asked)

    async def _streamed(self, asked: ProviderRequest) -> Reply:
        """Get a streamed reply; without its end it is invalid. Its events are read as JSON: typed, they would not be checked either."""
        more = {"stream": True, "stream_options": {"include_usage": True}}
        text, finish, usage = "", None, None
        async with await self._post(asked, more, cast_to=object, stream=True, stream_cls=openai.AsyncStream[object]) as stream:
            try:
                async for chunk in stream:
                    usage = chunk.get("usage") or usage
                    for choice in chunk.get("choices") or ():
                        text += (choice.get("delta") or {}).get("content") or ""
                        finish = choice.get("finish_reason") or finish
            except (AttributeError, TypeError, RecursionError):
                raise CallFailed("the stream is not one of chat completions", retryable=True) from None
        if not finish:
            raise CallFailed("the stream ended early", retryable=True)
        return read_completion({"usage": usage, "choices": [{"message": {"content": text}, "finish_reason": finish}]}, asked)

    async def _post(self, asked: ProviderRequest, more: dict[str, Any], **options: Any) -> Any:
        sampling = asked.sampling
        body: dict[str, Any] = {
            "model": self.endpoint.model, "messages": list(asked.messages), "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature, **more,
        }  # fmt: skip
        if sampling.top_p < 1:
            body["top_p"] = sampling.top_p
        if self.endpoint.takes_seed:
            body["seed"] = asked.seed
        if sampling.repetition_penalty is not None:
            body["repetition_penalty"] = sampling.repetition_penalty
        return await self.api.post("/chat/completions", body=body, options={"headers": {"Idempotency-Key": asked.key}}, **options)

    def _clean(self, text: str) -> str:
        return redact(text, [self.endpoint.key])


def _status(error: openai.APIStatusError) -> CallFailed:
    """Return the failure for an error that the provider sent."""
    code, body = error.status_code, error.body if isinstance(error.body, dict) else {}
    message, name = body.get("message"), body.get("code") or body.get("type")
    filtered = code == 400 and any(word in f"{name} {message}".lower() for word in ("inspection", "content_filter", "sensitive", "1301"))
    said = message or ("the address is base_url + /chat/completions, and base_url often ends in /v1" if code == _NOT_FOUND else "")
    return CallFailed(f"status {code}" + (f": {said}" if said else ""), retryable=code in _RETRYABLE or code >= 500,
                      fatal=code in _FATAL, refused=filtered, retry_after=_seconds(error.response.headers.get("retry-after")))  # fmt: skip


def _broken(error: Exception) -> CallFailed:
    """Return the failure for other errors: connections, broken JSON. A refusal by our transport is found in the chain of causes."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, Refused):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, Refused):
        return CallFailed(f"refused: {cause}", fatal=cause.fatal)
    inner = error.__cause__ or error
    return CallFailed(f"{type(inner).__name__}: {inner}", retryable=True)


def read_completion(body: Any, asked: ProviderRequest) -> Reply:
    """Read the reply from a chat completion's JSON. Raises CallFailed if it is not one. Without token counts that can be true, the maximum
    is assumed.
    """
    try:
        choice = body["choices"][0]
        text, finish = choice["message"].get("content") or "", choice.get("finish_reason") or "stop"
        (text + finish).encode()
    except (KeyError, IndexError, TypeError, AttributeError, UnicodeEncodeError):
        raise CallFailed("the reply is not a chat completion", retryable=True) from None
    usage: Any = body["usage"] if isinstance(body.get("usage"), dict) else {}
    counts = [usage.get(key) for key in ("prompt_tokens", "completion_tokens")]
    metered = all(type(count) is int and least <= count <= _MOST_TOKENS for count, least in zip(counts, (1, bool(text)), strict=True))
    prompt, completion = counts if metered else (asked.most_prompt_tokens(), asked.sampling.max_new_tokens)
    return Reply(text, finish, prompt, completion, metered)


def _seconds(header: str | None) -> float | None:
    """Return Retry-After in seconds; the header is a number or a date."""
    if not header:
        return None
    try:
        return None if math.isnan(seconds := float(header)) else max(seconds, 0.0)
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    from datetime import UTC, datetime

    return max((date - datetime.now(UTC)).total_seconds(), 0.0) if date.tzinfo else None
