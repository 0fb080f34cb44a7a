"""`recipe benchmarks`: BLiMP and GLUE from result files of BabyLM's evaluation pipeline."""

from pathlib import Path

import click

from ..options import json_option, print_json


@click.command("benchmarks")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False, exists=True))
@json_option
def command(folders: tuple[Path, ...], as_json: bool) -> None:
    """Show the accuracies and means of result FOLDERS, one per model: zeroshot/<phenomenon>/eval_results.json, finetune/<task>/..."""
    from ...evaluation.blimp import blimp, glue

    found = {folder.name: {"blimp": blimp(folder), "glue": glue(folder)} for folder in folders}
    if as_json:
        print_json(found)
        return
    from ....schemas.base.screen import Screen
    from ...reporting.tables import print_columns

    phenomena = list(next(iter(found.values()))["blimp"]["phenomena"])
    tasks = sorted({task for facts in found.values() for task in facts["glue"]})
    columns = {
        name: [
            *(f"{facts['blimp']['phenomena'][one]:.2f}" for one in phenomena), f"{facts['blimp']['mean']:.2f}",
            *(f"{facts['glue'][task]:.2f}" if task in facts["glue"] else "" for task in tasks),
        ]
        for name, facts in found.items()
    }  # fmt: skip
    heads = {"accuracy in %": [*(name.replace("_", " ") for name in phenomena), "mean of BLiMP", *tasks]}
    print_columns(heads, columns, Screen())
