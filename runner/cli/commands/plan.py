"""`recipe plan`: estimate what a recipe needs, without training."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ....schemas.base.counted import counted, listed
from ....schemas.base.terminal import BAD, WARNING, echo_styled, wrapped
from ....schemas.recipe import load_recipe, load_sweep
from ...runtime.machine import Machine, this_machine
from .. import completion
from ..options import Between, json_option, machine_option, print_json, runs_dir_option, set_option


@click.command("plan")
@click.argument("recipe", shell_complete=completion.recipes)
@set_option
@runs_dir_option
@machine_option
@click.option("--probe", "with_probe", is_flag=True, help="Train two steps here, in at most 60 s, to predict the time.")
@click.option("--price-per-hour", type=Between(min=0), help="Price of one machine, for the cost of the training.")
@click.option("--smoke", is_flag=True, help="Plan the smoke run.")
@json_option
def command(
    recipe: str,
    settings: tuple[str, ...],
    root: Path,
    machine: Machine,
    with_probe: bool,
    price_per_hour: float | None,
    smoke: bool,
    as_json: bool,
) -> None:
    """Convert the data of RECIPE, count its steps, and estimate memory, disk and time. Exit code 1 when the run cannot work there.
    Of a sweep every recipe is planned.

    Time is predicted from a probe or from earlier runs of the same method on this machine; otherwise it is unknown.
    """
    if with_probe and machine != this_machine():
        raise click.UsageError("--probe trains on this machine: omit --machine")
    swept = [loaded for loaded, _ in load_sweep(recipe, settings, smoke)]
    if swept and with_probe:
        raise click.UsageError("--probe trains one recipe, not a sweep")
    from ...workflows.plan import plan_recipe

    plans = []
    for loaded in swept or [load_recipe(recipe, settings, smoke)]:
        plans.append(plan_recipe(loaded, root, machine, with_probe, price_per_hour))
        if not as_json:
            _show(plans[-1])
    if as_json:
        print_json({"plans": plans} if swept else plans[0])
    elif not any(facts["problems"] or facts["warnings"] for facts in plans):
        options = [part for setting in settings for part in ("--set", setting)] + ["--smoke"] * smoke
        click.echo(f"next: recipe run {shlex.join([recipe, *options])}", err=True)
    raise SystemExit(1 if any(facts["problems"] for facts in plans) else 0)


def _show(facts: dict[str, Any]) -> None:
    """Print the figures as a table."""
    from ....schemas.base.screen import Screen

    lines = [*_figures(facts)]
    ends = [number - 1 for number, (name, _) in enumerate(lines) if name in ("memory", "disk")]
    names, texts = zip(*lines, strict=True)
    screen = Screen()
    screen.print_table({"plan": names, "": texts}, facts["recipe"], sections=ends)
    if facts["kernels"]:
        columns = {"computed": "part", "by": "used", "why": "why"}
        screen.print_table({head: [kernel[key] for kernel in facts["kernels"]] for head, key in columns.items()})
    for line in facts["warnings"]:
        echo_styled((wrapped(line, sys.stderr, 2), {"fg": WARNING}), err=True)
    for line in facts["problems"]:
        echo_styled((wrapped(line, sys.stderr, 2), {"fg": BAD}), err=True)


def _figures(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the table's rows."""
    from ...resources.batch_size import batch_text
    from ...resources.fit import on_each, others_text, rows_text, size_text

    needs = facts["needs"]
    dropped = f" {sum(facts['dropped'].values()):,} dropped ({listed(facts['dropped'])});" if facts["dropped"] else ""
    yield "data", f"{counted(facts['rows_in'], 'row')} in;{dropped} {listed(facts['splits'])}"
    yield "batch", batch_text(facts["batch"])
    yield "steps", f"{facts['steps']:,}" if facts["steps"] is not None else "known once the texts are tokenised and packed"
    yield from _time_figures(facts["time"])
    if facts["model"]:
        yield "model", f"{facts['model']['parameters']:,} parameters, by {facts['model']['source']}".replace(str(Path.home()), "~")
    if needs:
        yield "trained", f"{needs['trained_parameters']:,} parameters"
        most = f", up to {size_text(needs['memory']['most'])}, at {rows_text(needs['memory'])}"
        tables = [("memory", "about ", f"{on_each(needs['memory'])}{most}"), ("disk", "", "")]
        if needs["main_memory"]["needed"]:
            tables.append(("main memory", "about ", " by all processes"))
        for name, about, more in tables:
            part = needs[name.replace(" ", "_")]
            free = f", {size_text(part['available'])} available{others_text(part.get('taken', 0))}" if part["available"] else ""
            yield name, f"{about}{size_text(part['needed'])} needed{more}{free}"
            for what, size in part["parts"].items():
                yield "", f"{size_text(size):>9}  {what}"
        if needs["evaluation"]:
            yield "evaluation", f"about {size_text(needs['evaluation'])} of memory needed"
    if facts["unknown"]:
        yield "not computed", facts["unknown"]


def _time_figures(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the rows about time."""
    from ...resources.training_time import duration

    if facts["seconds"] is None:
        yield "time", f"unknown: no earlier run of this method on this machine, and {facts['failed_probe'] or 'no probe (--probe)'}"
    else:
        yield "tokens", f"{facts['tokens']:,}"
        yield "time", f"{duration(facts['seconds'])} of training, by {facts['source']}"
        if facts["failed_probe"]:
            yield "", f"not by a probe: {facts['failed_probe']}"
    for path in facts["damaged_timings"]:
        yield "", f"not used: {path} is damaged"
    if facts["past_errors"]:
        errors = ", ".join(f"{error:+z.0%}" for error in facts["past_errors"])
        yield "", f"the last predictions here were off by {errors}"
    if facts["cost"] is not None:
        yield "cost", f"{facts['cost']:,.2f}"
