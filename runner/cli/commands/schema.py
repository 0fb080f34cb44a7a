"""`recipe schema`: print a JSON Schema, for editors and other checkers."""

import click

from ....schemas.json_schema import schema_names, schema_text


@click.command("schema")
@click.argument("name", type=click.Choice(schema_names()), default="recipe")
def command(name: str) -> None:
    """Print the JSON Schema called NAME (default: recipe)."""
    click.echo(schema_text(name), nl=False)
