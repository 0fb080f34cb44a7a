"""The option that names a converter."""

from collections.abc import Callable
from typing import Any

import click

from ...converters.sources.registry import CONVERTERS


def converter_option(text: str) -> Callable[..., Any]:
    """Return the decorator that adds `--converter NAME` with this help, passed on as `name`; the help has the names, which wrap there."""
    names = ", ".join(CONVERTERS)
    return click.option("--converter", "name", type=click.Choice(CONVERTERS), metavar="NAME", help=f"{text} One of {names}.")
