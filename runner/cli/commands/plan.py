"""`recipe plan`: estimate what a recipe needs, without training."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import orjson

from ....schemas.base.counted import counted
from ....schemas.base.terminal import echo_styled, wrapped
from ....schemas.batch import batch_of
from ....schemas.recipe import LoadedRecipe, load_recipe, load_sweep
from ...runtime.machine import Machine, this_machine
from ..options import Between, json_option, machine_option, runs_dir_option, set_option

if TYPE_CHECKING:
    from ...resources.training_time import Rate


@click.command("plan")
@click.argument("recipe")
@set_option
@runs_dir_option
@machine_option
@click.option("--probe", "with_probe", is_flag=True, help="Train two steps here, in at most 60 s, to predict the time.")
@click.option("--price-per-hour", type=Between(min=0), help="Price of this machine, to compute the cost.")
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
    from ...resources.batch_size import with_batch

    plans = []
    for loaded in swept or [load_recipe(recipe, settings, smoke)]:
        facts = planned(loaded, root, machine)
        rate = probed(recipe, settings, smoke, root, facts) if with_probe else None
        facts["time"] = time_of(with_batch(loaded, facts["batch"]), root, machine, facts, rate, price_per_hour)
        plans.append(facts)
        if not as_json:
            show(facts)
    if as_json:
        click.echo(orjson.dumps({"plans": plans} if swept else plans[0], option=orjson.OPT_INDENT_2))
    elif not any(facts["problems"] or facts["warnings"] for facts in plans):
        options = [part for setting in settings for part in ("--set", setting)] + ["--smoke"] * smoke
        click.echo(f"next: recipe run {shlex.join([recipe, *options])}", err=True)
    raise SystemExit(1 if any(facts["problems"] for facts in plans) else 0)


def planned(loaded: LoadedRecipe, root: Path, machine: Machine) -> dict[str, Any]:
    """Return the figures. What cannot be computed is None, never a guess."""
    from ....converters.building.pipeline import build
    from ...generate.stage import with_generated_rows
    from ...launch.kernels import kernels
    from ...launch.steps import optimizer_steps, require_rows, step_problems
    from ...models.architecture import architecture_of
    from ...models.resolve import require_model_of
    from ...resources.batch_size import locked_batch, with_batch
    from ...resources.environment import kernel_packages
    from ...resources.estimate_fit import estimate_fit, size_of
    from ...resources.fit import problems, warnings
    from ...resources.model_names import model_name_problems
    from ...stages.sets import build_sets

    recipe = loaded.recipe
    if size_of(recipe) is None:
        require_model_of(loaded, root)  # this also fetches its configuration
    with TemporaryDirectory() as folder:
        manifest = build(with_generated_rows(loaded, root), Path(folder) / "data")
        splits = manifest["splits"]
        require_rows(loaded, splits, manifest["rows_in"])
        records = Path(folder) / "data" / "train.jsonl"
        batch = locked_batch(loaded, machine, manifest, records, recipe.model.base_model)
        recipe = with_batch(loaded, batch).recipe
        steps = None if recipe.data.type == "text" else optimizer_steps(recipe, splits["train"])
        found = estimate_fit(recipe, machine, root, len(manifest.get("labels", ())), steps, records)
        sets = build_sets(recipe, manifest, Path(folder) / "data", Path(folder) / "sets")
        data_bytes = records.stat().st_size
    size = size_of(recipe)
    refused = [*step_problems(recipe, loaded.document, splits["train"]), *model_name_problems(loaded)]
    refused += problems(found, recipe.data.type == "text" and recipe.training.sample_packing) if found else []
    installed = kernel_packages() if machine == this_machine() else None
    return {
        "recipe": recipe.name, "data_bytes": data_bytes,
        "kernels": [kernel._asdict() for kernel in kernels(recipe, machine, installed, 0, architecture_of(recipe.model))],
        "rows_in": manifest["rows_in"], "dropped": manifest["dropped"],
        "splits": splits, "sets": {name: made["rows_kept"] for name, made in sets.items()},
        "batch": batch | {"rows": batch_of(recipe).rows}, "steps": steps,
        "model": {"name": recipe.model.base_model, "parameters": size.parameters, "source": size.source} if size else None,
        "needs": found.facts() if found else None, "unknown": found.unknown if found else "the model's size",
        "warnings": warnings(found, refused) if found else [], "problems": [str(problem) for problem in refused],
    }  # fmt: skip


def probed(recipe: str, settings: tuple[str, ...], smoke: bool, root: Path, facts: dict[str, Any]) -> "Rate | None":
    """Return the rate of two steps; add to `facts` the number of steps if it depends on the tokenised rows."""
    from ...workflows.probe import LOGGED, probe

    section = "smoke." if smoke else ""
    with TemporaryDirectory() as folder:
        found = probe(load_recipe(recipe, (*settings, section + LOGGED), smoke), root.absolute(), Path(folder))
    facts["steps"] = facts["steps"] if facts["steps"] is not None else found.steps
    return found.rate


def time_of(
    loaded: LoadedRecipe, root: Path, machine: Machine, facts: dict[str, Any], rate: "Rate | None", price: float | None
) -> dict[str, Any]:
    """Return tokens, seconds and cost, None without a known rate, with the errors of past predictions on this machine."""
    from ...resources.training_time import earlier_timings, method, past_errors, predict, rate_of

    wanted, (timings, damaged) = method(loaded.recipe, machine), earlier_timings(root)
    rate = rate or rate_of(timings, wanted)
    found = predict(loaded.recipe, facts["splits"]["train"], facts["data_bytes"], rate) if rate else None
    cost = found.seconds / 3600 * price if found and price is not None else None
    return {
        "tokens": found.tokens if found else None, "seconds": round(found.seconds, 1) if found else None,
        "source": found.source if found else None, "cost": cost, "past_errors": past_errors(timings, wanted["machine"]),
        "damaged_timings": damaged,
    }  # fmt: skip


def show_time(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the table's rows about time."""
    from ...resources.training_time import duration

    if facts["seconds"] is None:
        yield "time", "unknown: no earlier run of this method on this machine, and no probe (--probe)"
    else:
        yield "tokens", f"{facts['tokens']:,}"
        yield "time", f"{duration(facts['seconds'])}, by {facts['source']}"
    for path in facts["damaged_timings"]:
        yield "", f"not used: {path} is damaged"
    if facts["past_errors"]:
        errors = ", ".join(f"{error:+.0%}" for error in facts["past_errors"])
        yield "", f"the last predictions here were off by {errors}"
    if facts["cost"] is not None:
        yield "cost", f"{facts['cost']:,.2f}"


def show(facts: dict[str, Any]) -> None:
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
        echo_styled((wrapped(line, sys.stderr, 2), {"fg": "yellow"}), err=True)
    for line in facts["problems"]:
        echo_styled((wrapped(line, sys.stderr, 2), {"fg": "red"}), err=True)


def _figures(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the table's rows."""
    from ...resources.batch_size import batch_text
    from ...resources.fit import rows_text, size_text

    needs = facts["needs"]
    dropped = sum(facts["dropped"].values())
    reasons = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in facts["dropped"].items())
    kept = "; ".join([f"{counted(facts['rows_in'], 'row')} in", *([f"{dropped:,} dropped ({reasons})"] if dropped else [])])
    yield "data", f"{kept}; " + ", ".join(f"{count:,} {split}" for split, count in facts["splits"].items())
    yield "batch", batch_text(facts["batch"])
    yield "steps", f"{facts['steps']:,}" if facts["steps"] is not None else "known once the texts are tokenised and packed"
    yield from show_time(facts["time"])
    if facts["model"]:
        yield "model", f"{facts['model']['parameters']:,} parameters, by {facts['model']['source']}".replace(str(Path.home()), "~")
    if needs:
        yield "trained", f"{needs['trained_parameters']:,} parameters"
        most = f", up to {size_text(needs['memory']['most'])}, at {rows_text(needs['memory'])}"
        for name, more in (("memory", most), ("disk", "")):
            part = needs[name]
            free = f", {size_text(part['available'])} available" if part["available"] else ""
            yield name, f"{'about ' if more else ''}{size_text(part['needed'])} needed{more}{free}"
            for what, size in part["parts"].items():
                yield "", f"{size_text(size):>9}  {what}"
    if facts["unknown"]:
        yield "not computed", facts["unknown"]
