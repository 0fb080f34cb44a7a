"""`recipe doctor`: check this machine against what recipes need."""

from pathlib import Path
from typing import Any

import click
import orjson

from ....schemas.extends import shipped_recipes
from ....schemas.recipe import load_recipe
from ..options import json_option


@click.command("doctor")
@click.argument("recipes", nargs=-1)
@json_option
def command(recipes: tuple[str, ...], as_json: bool) -> None:
    """Check this machine, and what RECIPES (default: all shipped ones) need. Exit code 1 when a named recipe cannot be trained here."""
    from ...resources.environment import environment, missing

    facts = environment()
    lacking = missing(facts)
    rows = [need(name, facts) for name in recipes or map(str, shipped_recipes())]
    if as_json:
        click.echo(orjson.dumps({**facts, "missing": lacking, "recipes": rows}, option=orjson.OPT_INDENT_2))
    else:
        from ...reporting.doctor_tables import show

        show(facts, lacking, rows)
    raise SystemExit(1 if recipes and (lacking or any(row["problems"] for row in rows)) else 0)


def need(name: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Return what a recipe needs on this machine and on a GPU; `problems` lists what prevents its training."""
    from ...launch.engines import unstartable
    from ...launch.kernels import kernels
    from ...models.architecture import architecture_of
    from ...resources.estimate_fit import GPU, estimate_fit, size_of
    from ...resources.fit import problems, warnings
    from ...runtime.machine import this_machine

    loaded = load_recipe(name)
    recipe, machine = loaded.recipe, this_machine()
    size, here = size_of(recipe), estimate_fit(recipe, machine, Path())
    on_gpu = estimate_fit(recipe, GPU, Path()) if machine.is_cpu else here
    faults = [f"launch.{key}: {what}" for key, what, _ in unstartable(recipe.launch, machine)]
    faults += [problem.what for problem in problems(here, full_rows=False)] if here else []
    capability = facts["gpus"][0]["capability"] if facts["gpus"] else 0
    chosen = kernels(recipe, machine, facts["kernels"], capability, architecture_of(recipe.model))
    faults += [f"{kernel.part}: {kernel.used} {kernel.why}" for kernel in chosen if kernel.problem]
    return {
        "kernels": [kernel._asdict() for kernel in chosen],
        "recipe": recipe.name, "base_model": recipe.model.base_model, "adapter": recipe.training.adapter,
        "parameters": size.parameters if size else None, "tokens": recipe.training.sequence_len,
        "memory": here.memory_needed if here else None, "memory_on_gpu": on_gpu.memory_needed if on_gpu else None,
        "disk": here.disk_needed if here else None, "problems": faults, "warnings": warnings(here) if here else [],
    }  # fmt: skip
