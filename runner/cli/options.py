"""Options that several commands share, what --json prints, and option types that click lacks."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from ...schemas.encodings import encoding_hint, is_encoding
from ...schemas.sections import UTF8, RecordType
from ..runtime.run_folder import RUNS
from .completion import keys

RECORD_TYPES: tuple[RecordType, ...] = get_args(RecordType)


def runs_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--runs-dir`, passed on as `root`."""
    kind = click.Path(path_type=Path, file_okay=False)
    return click.option("--runs-dir", "root", type=kind, default=RUNS, show_default=True, help="Folder of runs.")(command)


def set_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--set KEY=VALUE`, passed on as `settings`."""
    text = "Override a key of the recipe, e.g. training.max_steps=5."
    return click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", shell_complete=keys, help=text)(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`, passed on as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def print_json(values: Any) -> None:
    """Print plain values as JSON."""
    import orjson

    click.echo(orjson.dumps(values, option=orjson.OPT_INDENT_2))


def file_format_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--encoding` and `--column`, passed on as `encoding` and `columns`."""
    text = "Column of a table without a header; name all of them, in their order."
    command = click.option("--column", "columns", multiple=True, metavar="NAME", callback=_different, help=text)(command)
    text = "Encoding of the files' text, e.g. cp1252 or gb18030."
    return click.option("--encoding", type=Encoding(), default=UTF8, show_default=True, help=text)(command)


def _different(context: click.Context, option: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    if "" in names or len({*names}) < len(names):
        raise click.BadParameter("names must differ, and none may be empty", context, option)
    return names


class Encoding(click.ParamType):
    """The name of an encoding of text."""

    name = "encoding"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name; fail if it is unknown."""
        if not is_encoding(value):
            self.fail(f"unknown encoding {value!r}: {encoding_hint(value)}", param, ctx)
        return value


class MachineType(click.ParamType):
    """A machine to render or plan for: see machine_named."""

    name = "machine"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the machine; fail for other words."""
        from ..runtime.machine import machine_named

        if found := machine_named(value):
            return found
        self.fail(f"{value!r} is not a machine; use this, cpu, gpu (24 GB, bf16) or gpu:GB, such as gpu:8", param, ctx)


def machine_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--machine`, passed on as `machine`."""
    text = "Target: this, cpu, gpu (24 GB, bf16) or gpu:GB, such as gpu:8."
    return click.option("--machine", type=MachineType(), default="this", show_default=True, metavar="MACHINE", help=text)(command)


class Between(click.FloatRange):
    """A number in a range. click itself accepts nan, because every comparison with it is false."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; fail where it is outside the range or not a number."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number
