"""`recipe import`: import another tool's configuration as a recipe."""

import re
from pathlib import Path

import click

from ....schemas.base.errors import UserError
from ...workflows.new import write_new
from ..options import print_json


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--from", "tool", type=click.Choice(["axolotl", "llamafactory"]), help="Tool that wrote FILE. Default: detected.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Recipe to write. Default: print it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: the status of every key and, without --out, the recipe.")
def command(file: Path, tool: str | None, out: Path | None, as_json: bool) -> None:
    """Import FILE as a recipe, and report keys that are renamed, passed through to Axolotl, set to the tool's default or not expressible.

    Exit code 1 when the recipe would train something else: preferences, rewards, vision, audio, another optimizer.
    """
    from ...importing import importing

    imported = importing.import_config(file, tool, _name(out or file), out.parent if out else Path())  # pyright: ignore[reportArgumentType]
    if out:
        write_new(out, imported.text, "--out")
    if as_json:
        facts = {"recipe": str(out)} if out else {"text": imported.text}
        print_json(facts | importing.as_json(imported))
    else:
        for location, entry in imported.account:
            if entry.status in ("kept", "no value"):
                continue  # counted below
            to = f" {'to ' if entry.status == 'renamed' else ''}{', '.join(entry.to)}" if entry.to else ""
            click.echo(f"{location}: {entry.key}: {entry.status}{to}{f' ({entry.why})' if entry.why else ''}", err=True)
        click.echo(", ".join(f"{count} {status}" for status, count in imported.counts.items()), err=True)
        click.echo(str(out) if out else imported.text, nl=bool(out))
        if out and not imported.problems:
            click.echo(f"next: recipe check {out} --data", err=True)
    if imported.problems:
        raise UserError(*imported.problems)


def _name(path: Path) -> str:
    """Derive a recipe's name from a file's."""
    return re.sub(r"[^a-z0-9_-]+", "_", path.stem.lower()).strip("_-")[:63] or "imported"
