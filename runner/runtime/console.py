"""What a person sees while a recipe runs: a line for each stage, a bar for what takes long. On stderr; plain lines without a terminal."""

import time
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

_NAMES = {"tokenise": "tokenising", "load model": "loading the model", "save": "saving"}
_PLAIN_SECONDS = 10
_SPEED_SECONDS = 600  # a step may take minutes, and the time left is told from at least two


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
            console=self.console, transient=True, speed_estimate_period=_SPEED_SECONDS,
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
            name = _NAMES.get(event["name"], str(event["name"]))
            if self.task is None or self.bar.tasks[0].description != name:  # Axolotl calls its hooks after training twice
                self.clear()
                self.show(name, None, 0, "")
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
        if self.task is None:
            self.task = self.bar.add_task(description, total=total, completed=done, facts=facts)
        elif total is not None:
            self.bar.reset(self.task, total=total, completed=done, description=description, facts=facts)
        else:
            self.bar.update(self.task, completed=done, description=description, facts=facts)
        if not self.console.is_terminal and (time.monotonic() - self.last_plain > _PLAIN_SECONDS or total is not None or not done):
            self.last_plain = time.monotonic()
            self.console.print(_plain(self.bar.tasks[0]), markup=False)

    def clear(self) -> None:
        """Take the bar away."""
        if self.task is not None:
            self.bar.remove_task(self.task)
            self.task = None


def _plain(task: Task) -> str:
    """`  training 20/54  loss 4.315  146 tokens/s  0:02:33 left`"""
    count = f" {task.completed:.0f}" + (f"/{task.total:.0f}" if task.total is not None else "") if task.total or task.completed else ""
    seconds = task.time_remaining
    left = "" if seconds is None or task.finished else f"{timedelta(seconds=round(seconds))} left"
    return "  ".join(filter(None, (f"  {task.description}{count}", task.fields["facts"], left)))


def _facts(event: dict[str, Any]) -> str:
    shown = []
    if "loss" in event:
        shown.append(f"loss {event['loss']:.3f}")
    if "eval_loss" in event:
        shown.append(f"eval_loss {event['eval_loss']:.3f}")
    if "tokens_per_s" in event:
        shown.append(f"{event['tokens_per_s']:.0f} tokens/s")
    return "  ".join(shown)
