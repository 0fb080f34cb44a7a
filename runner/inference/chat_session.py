"""A conversation with one model, or with a tuned one and its base side by side."""

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from typing import Any, Protocol

from ...schemas.base.errors import UserError
from ..worker.packing import document_ids
from .chat_settings import Settings
from .chat_stream import ChatModel, ReplyStream, listen, speeches
from .protocol import usage


class Renderer(Protocol):
    """Where replies are shown."""

    def show(self, made: Sequence[ReplyStream], growing: Iterator[ReplyStream]) -> None:
        """Show the replies while they grow, to their end."""
        ...


class Session:
    """What has been said. The last speaker is the one whose replies the conversation goes on with; all are asked the same.

    A model without a chat template, or one trained on texts (`continues`), goes on with each line as with the beginning of a document.
    """

    def __init__(self, speakers: Sequence[ChatModel], settings: Settings, continues: bool, screen: Renderer) -> None:
        self.speakers, self.settings, self.continues, self.screen = speakers, settings, continues, screen
        self.messages: list[dict[str, str]] = []
        commands = "/quit ends" if continues else "/reset begins anew, /system TEXT sets the system prompt, /quit ends"
        self.help = f"{commands}; Ctrl-C stops a reply, Ctrl-D ends"

    def respond(self, line: str) -> None:
        """Show the reply to the line, and remember both. A reply that was stopped is remembered as far as it came."""
        made = self.begin(line)
        try:
            with closing(listen(made)) as growing:
                self.screen.show(made, growing)
        finally:
            self.remember(line, made)

    def begin(self, line: str) -> list[ReplyStream]:
        """Return a reply of each speaker to the line, not begun yet. Raises UserError where there is no room for any."""
        return speeches(self.speakers, self._prompt_ids(line), self.settings)

    def remember(self, line: str, made: Sequence[ReplyStream]) -> None:
        """Add the line to the conversation with the last speaker's reply; an empty one is no turn."""
        if made[-1].text.strip():
            self.messages = [*self.messages, _said("user", line), _said("assistant", made[-1].text.strip())]

    def with_messages(self, messages: Sequence[dict[str, str]]) -> "Session":
        """Return another conversation with the same speakers and settings."""
        session = Session(self.speakers, self.settings, self.continues, self.screen)
        session.messages = list(messages)
        return session

    def reset(self) -> str:
        """Forget what was said."""
        self.messages = []
        return "the conversation begins anew"

    def set_system(self, text: str) -> str:
        """Another system prompt from here on; none for no text. Raises UserError if the model has no chat template."""
        if self.continues:
            raise UserError("a model without a chat template takes no system prompt")
        self.settings = self.settings._replace(system=text or None)
        return f"system prompt: {text or 'none'}"

    def stop(self) -> None:
        """End the threads, which must not outlive the interpreter."""
        with suppress(KeyboardInterrupt):
            for speaker in self.speakers:
                speaker.batcher.stop()

    def _prompt_ids(self, line: str) -> list[int]:
        served = self.speakers[-1].served
        if self.continues:
            return document_ids(line, served.tokenizer)[:-1]  # as training begins a document, without its end
        system = [_said("system", self.settings.system)] if self.settings.system else []
        try:
            return served.prompt_ids([*system, *self.messages, _said("user", line)])
        except Exception as error:  # a template raises what it likes about roles that it does not know
            raise UserError(f"the model's chat template refuses the messages: {error}") from None


def as_json(speech: ReplyStream) -> dict[str, Any]:
    """A reply with what it was made with. `seed` makes it again."""
    counts = usage(len(speech.reply.prompt_ids), len(speech.token_ids))
    return {"model": speech.speaker.name, "reply": speech.text, "finish_reason": speech.finish, "seed": speech.reply.seed, "usage": counts}


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
