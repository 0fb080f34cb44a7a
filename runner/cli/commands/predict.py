"""`recipe predict`: a model's predictions for every row of a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from ....converters.building.unanswered import Reading
from ....converters.reading.files import keys_for
from ....converters.sources.registry import CONVERTERS, converter
from ....schemas.base.errors import Location, Problem, UserError
from ....schemas.recipe import load_recipe
from ....schemas.sections import RecordType, Source
from ...models.reference import ModelReference
from ..options import json_option, runs_dir_option
from .convert import converter_options
from .run import require_train_extra

if TYPE_CHECKING:
    from ...workflows.predict import Predicted


@click.command("predict")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.argument("file")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write, .jsonl or .csv. Default: FILE.predictions.jsonl."
)
@click.option("--base", is_flag=True, help="Predict with the base model that the run started from.")
@click.option("--converter", "name", type=click.Choice(sorted(CONVERTERS)), help="Converter that reads FILE. Default: the recipe's.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="Option of the converter.")
@click.option("--batch-size", type=click.IntRange(1, 1024), help="Rows predicted together. Default: the recipe's.")
@click.option("--system", metavar="TEXT", help='System prompt; "" for none. Default: the one used in training.')
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
    from ...workflows.predict import predict, predict_joined

    targets = [resolve_target(model, root) for model in models]
    if base:
        if any(target.kind == "classification" for target in targets):
            raise UserError("--base is not possible: a classifier's head is random before training")
        targets = [base_of(target) for target in targets]
    asked = [(target, *_asked(target, file, name, options, batch_size, given)) for target in targets]
    out = out or Path(f"{Path(file).name}.predictions.jsonl")
    with Display() as display:
        for target in targets:
            display.say("model", target.note)
        done = predict(*asked[0], out, display) if len(asked) == 1 else predict_joined(asked, out, display)
    _print(done, out, as_json)


def _asked(
    target: ModelReference, file: str, name: str | None, options: tuple[str, ...], batch_size: int | None, given: dict[str, Any]
) -> tuple[Reading, dict[str, Any]]:
    """Return how FILE is read for the model, and how the model predicts. Raises UserError for an option without effect."""
    from ...inference.chat_settings import settings_of

    settings = settings_of(target, given)
    if target.kind == "text" and (unused := [key for key, value in given.items() if value is not None]):
        raise UserError(f"--{unused[0].replace('_', '-')} has no effect: {target.name} was trained on texts, whose perplexity is predicted")
    reading, numbers = reading_of(target, file, name, options), _numbers(target)
    asked = {"batch_size": batch_size or numbers["batch_size"], "sequence_len": numbers["sequence_len"]}
    if target.kind not in ("classification", "text"):
        reading = reading._replace(system_prompt=settings.system)
        seed = numbers["seed"] if settings.seed is None else settings.seed
        asked |= {**settings._asdict(), "seed": seed}
    return reading, asked


def reading_of(target: ModelReference, file: str, name: str | None, options: tuple[str, ...]) -> Reading:
    """Return how FILE is read: by the named converter, else as the recipe's first source.

    Raises UserError if there is neither, or if the converter makes no records of the model's type.
    """
    if "*" not in file and ":" not in file and not Path(file).exists():
        raise UserError(Problem(Location(file), "no such file", rule="no-such-file"))
    data = load_recipe(str(Path(target.run) / "recipe.yml")).recipe.data if target.run else None
    if name:
        source = Source(file, name, converter_options(name, options))
    elif data and not options:
        first = data.sources[0]
        source = first._replace(path=file, weight=1, split=None, limit=None, revision=None, subset=None, hub_split="train")
        if Path(file).is_file():
            source = source._replace(**keys_for(Path(file), first))
    else:
        what = "--option needs --converter" if data else f"{target.name} has no recipe that says how to read {file}"
        raise UserError(what, hint="name a converter: recipe show --converter NAME lists its options")
    kind: RecordType = target.kind or "chat"  # pyright: ignore[reportAssignmentType]
    if not {kind, "text"} & {*(makes := converter(source.converter).RECORD_TYPES)}:
        raise UserError(f"the converter {source.converter} makes {' or '.join(makes)} records; {target.name} needs {kind} or text records")
    return Reading(source, kind, fix_mojibake=data.fix_mojibake if data else True)


def _numbers(target: ModelReference) -> dict[str, Any]:
    """Return batch size, seed and sequence length of the run's recipe."""
    from ....schemas.sections import Generation

    if not target.run:
        return {"batch_size": Generation().batch_size, "seed": Generation().seed, "sequence_len": None}
    recipe = load_recipe(str(Path(target.run) / "recipe.yml")).recipe
    generation = recipe.evaluation.generation
    return {"batch_size": generation.batch_size, "seed": generation.seed, "sequence_len": recipe.training.sequence_len}


def _print(done: "Predicted", out: Path, as_json: bool) -> None:
    """Print the file on stdout, and on stderr the rows without a prediction."""
    if as_json:
        click.echo(orjson.dumps({"out": str(out), **done._asdict()}, option=orjson.OPT_INDENT_2))
        return
    missing = done.rows - done.predicted
    click.echo(f"{done.predicted:,} of {done.rows:,} rows have a prediction", err=True)
    for fault in done.faults:
        click.echo(f"    {fault}", err=True)
    if missing > len(done.faults):
        click.echo(f"    and {missing - len(done.faults):,} more: see prediction.error", err=True)
    click.echo(out)
