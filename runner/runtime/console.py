"""Show a run's progress on stderr: a line for each stage and a progress bar; plain lines without a terminal."""

import time
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from ...schemas.base.counted import counted
from ...schemas.base.redact import redact
from ...schemas.base.screen import ProgressScreen
from ...schemas.base.terminal import printable, wrapped
from .progress import loss_text

_NAMES = {"tokenise": "tokenising", "load model": "loading the model", "save": "saving"}
_PLAIN_SECONDS = 10
_INDENT = 10  # characters of a stage's name
_WIDE = 110  # columns
_SPEED_SECONDS = 600  # a step may take minutes, and an estimate needs two steps


class _State(ProgressColumn):
    """`7/20 · 1:34 elapsed · 2:46 left`, then the event's values; the time left is shown once it can be estimated."""

    def render(self, task: Task) -> Text:
        return Text(" · ".join(_state(task)))


def _state(task: Task) -> list[str]:
    """Return the known parts of a task's state."""
    count = f"{task.completed:.0f}/{task.total:.0f}" if task.total is not None else f"{task.completed:.0f}" if task.completed else ""
    elapsed = f"{_clock(task.elapsed)} elapsed" if task.elapsed is not None else ""
    left = "" if task.time_remaining is None or task.finished else f"{_clock(task.time_remaining)} left"
    return [part for part in (count, elapsed, left, task.fields["facts"]) if part]


def _clock(seconds: float) -> str:
    """Format as `1:34`, or `2:01:34` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Display:
    """Shows a run's progress. Events come from the progress files of child processes."""

    def __init__(self) -> None:
        self.console = ProgressScreen()
        drawn = [BarColumn(24)] if self.console.width >= _WIDE else []  # on a narrow terminal, the text needs the room
        self.bar = Progress(
            TextColumn("  {task.description}", markup=False), *drawn, _State(),
            console=self.console, transient=True, speed_estimate_period=_SPEED_SECONDS,
            redirect_stdout=False,  # results stay on stdout
        )  # fmt: skip
        self.task: Any = None
        self.last_plain = 0.0

    def __enter__(self) -> Self:
        if self.console.is_terminal:  # without one the bar draws nothing, and ends with a blank line
            self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.console.is_terminal:
            self.bar.stop()

    def say(self, stage: str, what: str, style: str = "") -> None:
        """Print a permanent line."""
        line = wrapped(f"{stage:<{_INDENT - 1}} {printable(redact(what))}", self.console.file, _INDENT)
        text = Text(line, style)
        text.stylize("bold", 0, _INDENT)
        self.console.print(text, soft_wrap=True)

    def event(self, event: dict[str, Any]) -> None:
        """Show an event of a child process."""
        kind = event["event"]
        if kind in ("stage", "probe"):
            name = _NAMES.get(event["name"], str(event["name"])) if kind == "stage" else str(event["what"])
            if self.task is None or self.bar.tasks[0].description != name:  # Axolotl calls its hooks after training twice
                self.clear()
                self.show(name, None, 0, "")
        elif kind == "train":
            self.show("training", event["steps"], event["step"], "")
        elif kind == "step":
            self.show("training", None, event["step"], _facts(event))
        elif kind in ("evaluate", "predict"):
            name = "predicting" if kind == "predict" else f"evaluating {event['model']}"
            written = f"{counted(event['written'], 'token')} written" if "written" in event else ""
            self.show(name, event["total"], event["done"], written)
        elif kind in ("unsealed", "log"):
            self.say("", event["what"], "warning")
        elif kind == "stopping":
            self.say("stopping", "finishing the step and writing a checkpoint; Ctrl-C now ends it at once")

    def show(self, description: str, total: int | None, done: int, facts: str) -> None:
        """Move the bar; without a terminal, print a line every few seconds."""
        description, facts = printable(redact(description)), printable(redact(facts))
        begins = self.task is None or self.bar.tasks[0].description != description
        if self.task is None:
            self.task = self.bar.add_task(description, total=total, completed=done, facts=facts)
        elif begins:
            self.bar.reset(self.task, total=total, completed=done, description=description, facts=facts)
        else:
            self.bar.update(self.task, total=total, completed=done, facts=facts)
        if not self.console.is_terminal and (time.monotonic() - self.last_plain > _PLAIN_SECONDS or begins or done == total):
            self.last_plain = time.monotonic()
            self.console.print(_plain(self.bar.tasks[0]))

    def clear(self) -> None:
        """Remove the bar."""
        if self.task is not None:
            self.bar.remove_task(self.task)
            self.task = None


def _plain(task: Task) -> str:
    """Format as `  training 20/54 · 1:34 elapsed · 2:33 left · loss 4.315 · 146 tokens/s`."""
    return f"  {task.description} " + " · ".join(_state(task)) if task.total or task.completed else f"  {task.description}"


def _facts(event: dict[str, Any]) -> str:
    shown = []
    if "loss" in event:
        shown.append(f"loss {loss_text(event['loss'])}")
    if "eval_loss" in event:
        shown.append(f"validation loss {loss_text(event['eval_loss'])}")
    if "tokens_per_s" in event:
        shown.append(f"{event['tokens_per_s']:.0f} tokens/s")
    return " · ".join(shown)
