"""The sample prompts with each model's answer, for the report, and shortened for the terminal."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ...schemas.base.counted import counted
from ...schemas.base.screen import Screen
from ...schemas.base.terminal import printable
from .verdicts import LABELS

SHOWN = 4  # prompts on the terminal


class Answered(NamedTuple):
    """A prompt with the models' answers: (model's name, answer, remark)."""

    prompt: str
    answers: list[tuple[str, str, str]]


def answered_prompts(metrics: Mapping[str, Any]) -> list[Answered]:
    """Return every prompt with its answers, base first; [] if the recipe has no prompts."""
    found = metrics.get("prompts")
    if not found:
        return []
    models = [name for name in LABELS if name in found]
    return [
        Answered(tuned["prompt"], [(LABELS[model], *_answer(found[model][number])) for model in models])
        for number, tuned in enumerate(found["tuned"])
    ]


def sampling(metrics: Mapping[str, Any]) -> str:
    """Return how the replies were generated, in words; empty for labels."""
    how = metrics["prompts"]["generation"]
    if how is None:
        return ""
    drawn = f"temperature {how['temperature']:g}, top_p {how['top_p']:g}, seed {how['seed']}" if how["temperature"] else "temperature 0"
    return f"{drawn}, at most {counted(how['max_new_tokens'], 'token')}"


def print_samples(metrics: Mapping[str, Any], console: Screen) -> None:
    """Print the first prompts, each on one line with its end, and one line per answer; the report has all of them in full."""
    rows = answered_prompts(metrics)
    if not rows:
        return
    how = f" ({sampling(metrics)})" if sampling(metrics) else ""
    console.print(f"\nSample prompts{how}")
    for prompt, answers in rows[:SHOWN]:
        _line(console, "  ", _without_middle(_one_line(prompt), console.width - 2))
        for name, answer, remark in answers:
            _line(console, f"    {name:<6} ", _one_line(answer + (f" ({remark})" if remark else "")))
    if len(rows) > SHOWN:
        console.print(f"  {len(rows) - SHOWN} more in the report")
    console.print()


def _one_line(text: str) -> str:
    """Return the text on one line, as it may be shown on a terminal."""
    return printable(" ".join(text.split()))


def _without_middle(text: str, width: int) -> str:
    """Return the text cut to the width in its middle: sample prompts often differ only at their end."""
    if cell_len(text) <= width:
        return text
    end = set_cell_size(text[::-1], width // 3)[::-1]
    return set_cell_size(text, width - 1 - width // 3) + "…" + end


def _line(console: Screen, begin: str, text: str) -> None:
    """Print one line of the terminal's width, in a pipe too."""
    line = Text(begin + text)
    line.truncate(console.width, overflow="ellipsis")
    console.print(line)


def _answer(answer: Mapping[str, Any]) -> tuple[str, str]:
    """Return the answer as text, with a remark."""
    if "error" in answer:
        return "", f"no reply: {answer['error']}"
    if "probabilities" in answer:
        ranked = sorted(answer["probabilities"].items(), key=lambda pair: -pair[1])
        cut = f"only {answer['tokens_seen']:,} of {answer['tokens']:,} tokens were read" if "tokens_seen" in answer else ""
        return ", ".join(f"{label} {chance:.2f}" for label, chance in ranked), cut
    return answer["reply"], "did not stop" if answer["finish_reason"] == "length" else ""
