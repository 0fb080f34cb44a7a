"""What Tab completes: recipes, runs and keys; files by the shell, where none of them fits.

Every command imports this file, and only a completion needs what these functions import.
"""

from collections.abc import Iterable
from glob import escape, glob
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def recipes(context: click.Context, parameter: click.Parameter, typed: str) -> list["CompletionItem"]:
    """Complete a recipe: a YAML file, or the name of a shipped one."""
    from ...schemas.extends import shipped_recipes
    from ...schemas.paths import SUFFIXES

    files = [path for path in sorted(glob(f"{escape(typed)}*")) if Path(path).suffix in SUFFIXES]
    return _or_files(typed, [*files, *(path.stem for path in shipped_recipes())])


def runs(context: click.Context, parameter: click.Parameter, typed: str) -> list["CompletionItem"]:
    """Complete a run: the name of a recipe that has runs, or a run's directory once its beginning is typed."""
    from ..runtime.find_run import all_runs
    from ..runtime.run_folder import RUNS

    found = [run.path for run in all_runs(context.params.get("root") or RUNS)]
    names = sorted({path.parent.name for path in found})
    return _or_files(typed, [*names, *(str(path) for path in found if typed)])


def recipes_and_keys(context: click.Context, parameter: click.Parameter, typed: str) -> list["CompletionItem"]:
    """Complete a recipe or a key."""
    return [*recipes(context, parameter, typed), *keys(context, parameter, typed)]


def keys(context: click.Context, parameter: click.Parameter, typed: str) -> list["CompletionItem"]:
    """Complete a key of a recipe."""
    from ...schemas.json_schema import key_paths

    return _items("plain", (key for key in key_paths() if key.startswith(typed)))


def _or_files(typed: str, names: Iterable[str]) -> list["CompletionItem"]:
    """Return the names that begin as typed. The mark for files comes first: bash forgets what stands before it."""
    return [*_items("file", [typed]), *_items("plain", (name for name in names if name.startswith(typed)))]


def _items(kind: str, values: Iterable[str]) -> list["CompletionItem"]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(value, type=kind) for value in values]
