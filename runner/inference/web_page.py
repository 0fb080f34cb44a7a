"""Build the pages of `recipe chat --web`: a conversation with the tuned model next to its base, or the labels of a classifier.

Model output is shown as plain text, without Markdown or HTML.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from html import escape
from typing import Any

from ...schemas.base.counted import counted
from ...schemas.base.errors import UserError
from ...schemas.base.terminal import printable
from .chat_session import Session
from .chat_stream import ReplyStream, stream_replies
from .classify import Classifier

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
import gradio as gr

Messages = list[dict[str, Any]]
# Text is shown verbatim, below the pane's name and not behind it, without the button that clears a pane but not the conversation.
# The boxes that tell are as high as their text, also once a phone is turned. On a phone two panes are stacked: they are lower, so that both
# are in view with the message.
STYLE = """
.pane .message-content .md { white-space: pre-wrap; overflow-wrap: anywhere }
.pane .icon-button[aria-label=Clear] { display: none }
.pane label[data-testid=block-label] { position: static !important }
#about textarea, #status textarea { field-sizing: content; height: auto !important; max-height: 50vh; overflow-y: auto !important }
@media (max-width: 640px) { .pane:has(~ .pane), .pane ~ .pane { height: clamp(9rem, 26vh, 18rem) !important } }
"""
PANE_HEIGHT = "clamp(12rem, 45vh, 36rem)"


class ChatPage:
    """The page of a chat. Each browser tab holds its own conversation; the models are shared."""

    def __init__(self, session: Session, title: str) -> None:
        self.session, self.title = session, title
        self.names = [model.name for model in session.models]

    def build(self) -> gr.Blocks:
        """Build the page."""
        with gr.Blocks(title=self.title, analytics_enabled=False, fill_width=True) as page:
            _about(self.title, self._how())
            history, shown = gr.State([]), [gr.State([]) for _ in self.names]
            with gr.Row():
                panes = [_pane(name) for name in self.names]
            status = gr.Textbox(label="Last reply", interactive=False, lines=1, elem_id="status", placeholder="no message yet")
            with gr.Row():
                line = gr.Textbox(label=self._asks_for(), lines=1, max_lines=8, autofocus=True, scale=8, elem_id="line")
            with gr.Row():
                send = gr.Button("Send", variant="primary", elem_id="send", min_width=80)
                stop = gr.Button("Stop", elem_id="stop", min_width=80)
                clear = gr.Button("Clear", elem_id="clear", min_width=80)
            everything = [line, history, status, *shown, *panes]
            answering = gr.on([line.submit, send.click], self.answer, [line, history, *shown], everything, api_visibility="private")
            stop.click(None, cancels=[answering], api_visibility="private")
            clear.click(self.clear, None, everything, cancels=[answering], api_visibility="private")
        return page.queue(default_concurrency_limit=1, api_open=False)

    def answer(self, line: str, history: Messages, *shown: Messages) -> Iterator[tuple[Any, ...]]:
        """Yield the page's values while the replies grow. Of a stopped reply, the part received is remembered."""
        if not line.strip():
            yield line, history, "", *shown, *shown
            return
        turn = self.session.with_messages(history)
        asked = [[*messages, _text("user", line)] for messages in shown]
        try:
            streams = turn.begin(line)
        except UserError as error:
            yield line, history, "no reply: " + "; ".join(problem.what for problem in error.problems), *shown, *shown
            return
        with closing(stream_replies(streams)) as growing:
            for _ in growing:
                turn.messages = history
                turn.remember(line, streams)
                panes = [[*messages, _text("assistant", reply.shown)] for messages, reply in zip(asked, streams, strict=True)]
                yield "", turn.messages, _state(streams), *panes, *panes

    def clear(self) -> tuple[Any, ...]:
        """Return the page's values without a conversation."""
        return "", [], "", *[[] for _ in self.names], *[[] for _ in self.names]

    def _how(self) -> str:
        settings, parts = self.session.settings, [str(self.session.settings)]
        if len(self.names) > 1 and not self.session.continues:
            parts.append(f"both get the same prompt, with the replies of {self.names[-1]} as history")
        has_note = settings.system_note and not self.session.continues
        system = f" System prompt ({settings.system_note}): {settings.system or 'none'}" if has_note else ""
        return "; ".join(parts) + "." + system

    def _asks_for(self) -> str:
        return "Beginning of a text, which is continued" if self.session.continues else "Message"


class ClassifierPage:
    """The page of a classifier."""

    def __init__(self, classifier: Classifier, title: str) -> None:
        self.classifier, self.title = classifier, title

    def build(self) -> gr.Blocks:
        """Build the page."""
        count = len(self.classifier.labels)
        with gr.Blocks(title=self.title, analytics_enabled=False, fill_width=True) as page:
            _about(self.title, f"{counted(count, 'label')}: {', '.join(self.classifier.labels)}. Texts are {self.classifier.reads}.")
            text = gr.Textbox(label="Text", lines=4, max_lines=20, autofocus=True, elem_id="line")
            classify = gr.Button("Classify", variant="primary", elem_id="send")
            status = gr.Textbox(label="Read", interactive=False, lines=1, elem_id="status", placeholder="no text yet")
            label = gr.Label(label="Label, with the probability of every label", num_top_classes=count, elem_id="label")
            gr.on([classify.click], self.answer, [text], [label, status], api_visibility="private")
        return page.queue(default_concurrency_limit=1, api_open=False)

    def answer(self, text: str) -> tuple[dict[str, float] | None, str]:
        """Return the probabilities and how much of the text was read; for one that cannot be classified, why not."""
        if not text.strip():
            return None, ""
        try:
            found = self.classifier.classify(text)
        except UserError as error:
            return None, error.problems[0].what
        cut = found["tokens"] > found["tokens_seen"]
        tokens = counted(found["tokens"], "token")
        read = f"only the first {found['tokens_seen']:,} of {tokens} were read" if cut else tokens
        return found["probabilities"], read


def _about(title: str, how: str) -> None:
    """Show the model and its settings. A text box shows plain text; gr.HTML would read it as a template."""
    gr.Textbox(how, label=title, interactive=False, lines=1, max_lines=12, elem_id="about")


def _pane(name: str) -> gr.Chatbot:
    return gr.Chatbot(
        label=name, elem_id=f"pane-{name}", elem_classes="pane", min_width=300, height=PANE_HEIGHT, render_markdown=False,
        sanitize_html=True, allow_tags=False, latex_delimiters=[], feedback_options=None, buttons=[], allow_file_downloads=False,
        placeholder=" ",
    )  # fmt: skip


def _text(role: str, text: str) -> dict[str, Any]:
    """Return a message of a pane. A pane shows HTML even without Markdown, and removes the indentation of a bare string."""
    return {"role": role, "content": [{"type": "text", "text": escape(printable(text))}]}


def _state(streams: Sequence[ReplyStream]) -> str:
    ends = {"length": ", did not stop", "cancelled": ", stopped", "": " so far"}
    tokens = [counted(len(one.token_ids), "token") for one in streams]
    return "; ".join(
        f"{one.model.name}: {count} in {one.seconds:.1f} s{ends.get(one.finish, '')}" for one, count in zip(streams, tokens, strict=True)
    )
