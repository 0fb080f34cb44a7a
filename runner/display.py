"""What a person sees while a recipe runs: a line for each stage, a bar for what takes long. On stderr; plain lines without a terminal."""

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

_NAMES = {"tokenise": "tokenising", "load model": "loading the model", "save": "saving"}
_PLAIN_SECONDS = 10


class _Count(ProgressColumn):
    """`3/12`; nothing where nobody knows how much there is."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.completed:.0f}/{task.total:.0f}" if task.total is not None else "")


class _Screen(Console):
    """Stderr. A training does not end because nobody watches it any more."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Display:
    """Follows a run. Events come from the child processes' progress files."""

    def __init__(self) -> None:
        self.console = _Screen(stderr=True, highlight=False)
        self.bar = Progress(
            TextColumn("  {task.description:<18}"), BarColumn(24), _Count(),
            TextColumn("{task.fields[facts]}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
            console=self.console, transient=True,
        )  # fmt: skip
        self.task: Any = None
        self.last_plain = 0.0
        self.measured_from: tuple[float, int] | None = None

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.stop()

    def say(self, stage: str, what: str, style: str = "") -> None:
        """A line that stays."""
        self.console.print(Text.assemble((f"{stage:<9} ", "bold"), (what, style)), soft_wrap=True)

    def event(self, event: dict[str, Any]) -> None:
        """An event of a child process."""
        kind = event["event"]
        if kind == "stage":
            self.clear()
            self.show(_NAMES.get(event["name"], str(event["name"])), None, 0, "")
        elif kind == "train":
            self.show("training", event["steps"], event["step"], "")
        elif kind == "step":
            self.show("training", None, event["step"], _facts(event))
        elif kind == "evaluate":
            self.show(f"evaluating {event['model']}", event["total"], event["done"], "")
        elif kind == "stopping":
            self.say("stopping", f"{event['signal']}: finishing the step and writing a checkpoint")

    def show(self, description: str, total: int | None, done: int, facts: str) -> None:
        """Move the bar. Without a terminal, print a line every few seconds instead."""
        if not self.console.is_terminal:
            if time.monotonic() - self.last_plain > _PLAIN_SECONDS or total is not None or not done:
                self.last_plain = time.monotonic()
                self.console.print(f"  {description} {done or ''} {facts}".rstrip(), markup=False)
            return
        if self.task is None:
            self.task = self.bar.add_task(description, total=total, completed=done, facts=facts)
        elif total is not None:
            self.bar.reset(self.task, total=total, completed=done, description=description, facts=facts)
        else:
            self.bar.update(self.task, completed=done, description=description, facts=facts)

    def clear(self) -> None:
        """Take the bar away."""
        if self.task is not None:
            self.bar.remove_task(self.task)
            self.task = None


def _facts(event: dict[str, Any]) -> str:
    shown = []
    if "loss" in event:
        shown.append(f"loss {event['loss']:.3f}")
    if "eval_loss" in event:
        shown.append(f"eval_loss {event['eval_loss']:.3f}")
    if "tokens_per_s" in event:
        shown.append(f"{event['tokens_per_s']:.0f} tokens/s")
    return "  ".join(shown)
