"""`recipe benchmarks`: BLiMP and GLUE from result files of BabyLM's evaluation pipeline."""

from pathlib import Path

import click
import orjson

from ..options import json_option


@click.command("benchmarks")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False, exists=True))
@json_option
def command(folders: tuple[Path, ...], as_json: bool) -> None:
    """Show the accuracies and means of result FOLDERS, one per model: zeroshot/<phenomenon>/eval_results.json, finetune/<task>/..."""
    from ...evaluation.benchmarks import blimp, glue

    found = {folder.name: {"blimp": blimp(folder), "glue": glue(folder)} for folder in folders}
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
        return
    from rich.table import Table

    from ....schemas.base.screen import Screen

    table = Table("accuracy in %", *found)
    for name in next(iter(found.values()))["blimp"]["phenomena"]:
        table.add_row(name.replace("_", " "), *(f"{facts['blimp']['phenomena'][name]:.2f}" for facts in found.values()))
    table.add_row("mean of BLiMP", *(f"{facts['blimp']['mean']:.2f}" for facts in found.values()), end_section=True)
    for task in sorted({task for facts in found.values() for task in facts["glue"]}):
        table.add_row(task, *(f"{facts['glue'][task]:.2f}" if task in facts["glue"] else "" for facts in found.values()))
    Screen().print(table)
