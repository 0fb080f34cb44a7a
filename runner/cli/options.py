"""Options that several commands share, and option types that click lacks."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..runtime.run_folder import RUNS


def runs_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--runs-dir`, passed on as `root`."""
    kind = click.Path(path_type=Path, file_okay=False)
    return click.option("--runs-dir", "root", type=kind, default=RUNS, show_default=True, help="Folder of runs.")(command)


def set_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--set KEY=VALUE`, passed on as `settings`."""
    text = "Override a key of the recipe, e.g. training.max_steps=5."
    return click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help=text)(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`, passed on as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


class Between(click.FloatRange):
    """A number between two others. click accepts nan, because every comparison with it is false."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; fail where it is outside the range or not a number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number
