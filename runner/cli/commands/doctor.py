"""`recipe doctor`: check this machine against what recipes need."""

import click

from ....schemas.extends import shipped_recipes
from .. import completion
from ..options import json_option, print_json


@click.command("doctor")
@click.argument("recipes", nargs=-1, shell_complete=completion.recipes)
@json_option
def command(recipes: tuple[str, ...], as_json: bool) -> None:
    """Check this machine, and what RECIPES (default: all shipped ones) need. Exit code 1 when a named recipe cannot be trained here."""
    from ...resources.environment import environment, missing
    from ...resources.estimate_fit import needs_of
    from ...runtime.machine import this_machine

    facts, machine = environment(), this_machine()  # once: nvidia-smi may take a second
    lacking = missing(facts)
    rows = [needs_of(name, machine, facts) for name in recipes or map(str, shipped_recipes())]
    if as_json:
        print_json({**facts, "missing": lacking, "recipes": rows})
    else:
        from ...reporting.doctor_tables import show

        show(facts, lacking, rows)
    raise SystemExit(1 if recipes and (lacking or any(row["problems"] for row in rows)) else 0)
