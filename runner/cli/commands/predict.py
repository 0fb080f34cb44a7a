"""`recipe predict`: a model's predictions for every row of a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ....schemas.base.counted import counted_of
from ....schemas.base.errors import UserError
from ....schemas.paths import SUFFIXES
from .. import completion
from ..converter_option import converter_option
from ..options import json_option, print_json, runs_dir_option
from .convert import converter_options
from .run import require_train_extra

if TYPE_CHECKING:
    from ...workflows.predict import Predicted


@click.command("predict")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", shell_complete=completion.runs)
@click.argument("file")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write, .jsonl or .csv. Default: FILE.predictions.jsonl, here."
)
@click.option("--base", is_flag=True, help="Predict with the base model that the run started from.")
@converter_option("Converter that reads FILE. Default: the recipe's.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="Option of the converter.")
@click.option("--batch-size", type=click.IntRange(1, 1024), help="Rows predicted together. Default: the recipe's.")
@click.option("--system", metavar="TEXT", help='System prompt; "" for none. Default: data.system_prompt of the recipe.')
@click.option("--temperature", type=click.FloatRange(0, 2), help="Sampling temperature; 0 is greedy. Default: the recipe's.")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Nucleus sampling. Default: the recipe's.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Maximum reply length. Default: the recipe's.")
@click.option("--seed", type=click.IntRange(0), help="Seed of sampled replies. Default: the recipe's.")
@runs_dir_option
@json_option
def command(
    models: tuple[str, ...], file: str, out: Path | None, base: bool, name: str | None, options: tuple[str, ...], batch_size: int | None,
    root: Path, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Predict every row of FILE with MODEL: a run's directory or a recipe's name (its newest run), or with --converter any chat model.

    Writes the rows with all their columns and a `prediction`: a reply, a label with the probability of every label, or the perplexity of a
    text. The rows need no answer. The same command continues a prediction that was interrupted.

    With several MODELs, each is a binary classifier of one letter of the label: four MBTI models predict one type.
    """
    require_train_extra()
    from ...models.reference import base_of, resolve_target
    from ...runtime.console import Display
    from ...workflows.predict import job_of, notes_of, predict, predict_joined

    if files := [model for model in models[1:] if Path(model).is_file() and Path(model).suffix not in SUFFIXES]:
        raise UserError(f"{files[0]} is a file, not a model", hint="to read several files, give a glob in quotes: 'new/*.txt'")
    targets = [resolve_target(model, root) for model in models]
    if base:
        if any(target.kind == "classification" for target in targets):
            raise UserError("--base is not possible: a classifier's head is random before training")
        targets = [base_of(target) for target in targets]
    if options and not name:
        raise UserError("--option needs --converter", hint="recipe show --converter NAME lists its options")
    source = (name, converter_options(name, options)) if name else None
    jobs = [job_of(target, file, source, batch_size, given) for target in targets]
    out = out or Path(f"{Path(file).name}.predictions.jsonl")
    with Display() as display:
        for target in targets:
            display.say("model", target.note)
        for line in dict.fromkeys(line for job in jobs for line in notes_of(job)):
            display.say(*line)
        done = predict(jobs[0], out, display) if len(jobs) == 1 else predict_joined(jobs, out, display)
    _print(done, out, as_json)


def _print(done: "Predicted", out: Path, as_json: bool) -> None:
    """Print the file on stdout, and on stderr the rows without a prediction."""
    if as_json:
        print_json({"out": str(out), **done._asdict()})
        return
    missing = done.rows - done.predicted
    click.echo(f"{counted_of(done.predicted, done.rows, 'row', 'have')} a prediction", err=True)
    for fault in done.faults:
        click.echo(f"    {fault}", err=True)
    if missing > len(done.faults):
        click.echo(f"    and {missing - len(done.faults):,} more: see prediction.error", err=True)
    click.echo(out)
