"""`recipe schema`: print a JSON Schema, for editors and other checkers."""

import click

from ....schemas.json_schema import SCHEMA_DIR, schema_names


@click.command("schema")
@click.argument("name", type=click.Choice(schema_names()), default="recipe")
def command(name: str) -> None:
    """Print the JSON Schema called NAME (default: recipe)."""
    click.echo((SCHEMA_DIR / f"{name}.schema.json").read_text("utf-8"), nl=False)
