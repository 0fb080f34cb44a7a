"""Hold a conversation with one model, or with a tuned one and its base side by side."""

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from typing import Any, Protocol

from ...schemas.base.errors import UserError
from ..worker.packing import document_ids
from ..worker.tokenization import RefusedMessages
from .chat_settings import Settings
from .chat_stream import ChatModel, ReplyStream, new_replies, stream_replies
from .protocol import usage


class Renderer(Protocol):
    """A way to show replies."""

    def show(self, streams: Sequence[ReplyStream], growing: Iterator[ReplyStream]) -> None:
        """Show the replies until they end."""
        ...


class Session:
    """A conversation. Every model gets the same prompt, and the last model's replies become its history.
    A model without a chat template, or one trained on texts (`continues`), continues each line as the beginning of a document.
    """

    def __init__(self, models: Sequence[ChatModel], settings: Settings, continues: bool, renderer: Renderer) -> None:
        self.models, self.settings, self.continues, self.renderer = models, settings, continues, renderer
        self.messages: list[dict[str, str]] = []
        commands = "/quit to end" if continues else "/reset to start again, /system TEXT to set the system prompt, /quit to end"
        self.help = f"{commands}; Ctrl-C stops a reply, Ctrl-D quits"

    def respond(self, line: str) -> None:
        """Show the reply to the line, and remember both. Of a stopped reply, the part received is remembered."""
        streams = self.begin(line)
        try:
            with closing(stream_replies(streams)) as growing:
                self.renderer.show(streams, growing)
        finally:
            self.remember(line, streams)

    def begin(self, line: str) -> list[ReplyStream]:
        """Return a reply of each model to the line, not yet started. Raises UserError if the context has no room for a reply."""
        return new_replies(self.models, self._prompt_ids(line), self.settings)

    def remember(self, line: str, streams: Sequence[ReplyStream]) -> None:
        """Add the line to the conversation with the last model's reply; an empty reply adds nothing."""
        if streams[-1].text.strip():
            self.messages = [*self.messages, _message("user", line), _message("assistant", streams[-1].text.strip())]

    def with_messages(self, messages: Sequence[dict[str, str]]) -> "Session":
        """Return another conversation with the same models and settings."""
        session = Session(self.models, self.settings, self.continues, self.renderer)
        session.messages = list(messages)
        return session

    def reset(self) -> str:
        """Clear the conversation."""
        self.messages = []
        return "conversation cleared"

    def set_system(self, text: str) -> str:
        """Change the system prompt; empty text removes it. Raises UserError if the model has no chat template."""
        if self.continues:
            raise UserError("a model without a chat template takes no system prompt")
        self.settings = self.settings._replace(system=text or None)
        return f"system prompt: {text or 'none'}"

    def stop(self) -> None:
        """Stop the threads, which must not outlive the interpreter."""
        with suppress(KeyboardInterrupt):
            for model in self.models:
                model.batcher.stop()

    def _prompt_ids(self, line: str) -> list[int]:
        served = self.models[-1].served
        if self.continues:
            return document_ids(line, served.tokenizer)[:-1]  # as in training, without the end of the document
        system = [_message("system", self.settings.system)] if self.settings.system else []
        try:
            return served.prompt_ids([*system, *self.messages, _message("user", line)])
        except RefusedMessages as error:
            raise UserError(str(error)) from None


def as_json(stream: ReplyStream) -> dict[str, Any]:
    """Return a reply as plain values; its `seed` reproduces it."""
    counts = usage(len(stream.reply.prompt_ids), len(stream.token_ids))
    return {"model": stream.model.name, "reply": stream.text, "finish_reason": stream.finish, "seed": stream.reply.seed, "usage": counts}


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
