"""`recipe predict`: predict every row of a file with a model.

Work is kept in a folder next to the output, `<output>.part`, until it is complete: a prediction that was killed continues there.
"""

import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ...converters.building.training_form import TrainingForm
from ...converters.building.unanswered import Reading, read_unanswered
from ...converters.reading.file_hashes import source_sha256
from ...converters.reading.files import files_of, keys_for
from ...converters.reading.json_values import parse_json, write_json
from ...converters.sources.registry import converter
from ...schemas import VERSION
from ...schemas.base.counted import counted_of
from ...schemas.base.errors import Interrupted, Problem, UserError
from ...schemas.base.files import refuse_inputs_in, write_atomically
from ...schemas.base.hashing import SEAL, key_of
from ...schemas.evaluation_sections import Generation
from ...schemas.recipe import load_recipe
from ...schemas.sections import Data, RecordType, Source
from ..evaluation.label_schemes import LabelScheme, pair_of
from ..inference.chat_settings import settings_of
from ..launch.plan import model_environment
from ..models.reference import ModelReference, require_weights_of
from ..reporting.joined_labels import require_all_letters
from ..reporting.prediction_files import CSV, Rows, require_free_column, write_csv, write_jsonl
from ..runtime.child_process import run_child
from ..runtime.console import Display
from ..runtime.line_sums import cut_changed_lines, sums_of
from ..runtime.machine import package_versions, this_machine
from ..runtime.progress import each_line
from ..runtime.run_files import PREDICT_REQUEST, PREDICTED, PROGRESS, RECIPE, ROWS
from ..runtime.run_folder import RunFolder
from ..runtime.seals import seal_faults, seal_files

SHOWN = 5  # rows without a prediction to name


class Job(NamedTuple):
    """A model, how the file is read for it, and its settings: batch size, sequence length, and how it generates."""

    model: ModelReference
    reading: Reading
    settings: dict[str, Any]


class Predicted(NamedTuple):
    """The number of rows, how many have a prediction, and the first rows without one, with the reason."""

    rows: int
    predicted: int
    faults: list[str]


def job_of(
    target: ModelReference, file: str, source: tuple[str, dict[str, Any]] | None, batch_size: int | None, given: dict[str, Any]
) -> Job:
    """Return how FILE is read for the model, and how the model predicts. `source` is a converter's name with its options, None for the
    recipe's; `given` are the generation settings of the command line.

    Raises UserError for an option without effect, or if nothing says how the file is read.
    """
    settings = settings_of(target, given)
    if target.kind == "text" and (unused := [key for key, value in given.items() if value is not None]):
        raise UserError(f"--{unused[0].replace('_', '-')} has no effect: {target.name} was trained on texts, whose perplexity is predicted")
    recipe = load_recipe(str(Path(target.run) / RECIPE)).recipe if target.run else None
    generation = recipe.evaluation.generation if recipe else Generation()
    reading = _reading(target, file, source, recipe.data if recipe else None)
    asked: dict[str, Any] = {
        "batch_size": batch_size or generation.batch_size,
        "sequence_len": recipe.training.sequence_len if recipe else None,
    }
    if target.kind not in ("classification", "text"):
        reading = reading._replace(system_prompt=settings.system)
        asked |= {**settings._asdict(), "seed": generation.seed if settings.seed is None else settings.seed}
    return Job(target, reading, asked)


def notes_of(job: Job) -> list[tuple[str, str]]:
    """Return what to know of how the rows are read, each with its heading."""
    notes = [("texts", str(job.reading.form))] if job.reading.form else []
    if job.settings.get("system_note") and not job.settings["system"]:
        notes.append(("system", f"rows without a system prompt get none ({job.settings['system_note']})"))
    return notes


def _reading(target: ModelReference, file: str, named: tuple[str, dict[str, Any]] | None, data: Data | None) -> Reading:
    """Return how the file is read: by the named converter, else as the first source of the recipe's data. What a
    classifier gets by another converter than its training is brought into the form of its rows.

    Raises UserError if there is neither, or if the converter makes no records of the model's type.
    """
    if "*" not in file and ":" not in file and not Path(file).exists():
        raise UserError(Problem(file, "no such file", rule="no-such-file"))
    if named:
        source = Source(file, *named)
    elif data:
        first = data.sources[0]
        source = first._replace(path=file, weight=1, split=None, limit=None, revision=None, subset=None, hub_split="train")
        if Path(file).is_file():
            source = source._replace(**keys_for(Path(file), first))
    else:
        hint = "name a converter: recipe show --converter NAME lists its options"
        raise UserError(f"{target.name} has no recipe that says how to read {file}", hint=hint)
    kind: RecordType = target.kind or "chat"  # pyright: ignore[reportAssignmentType]
    if not {kind, "text"} & {*(makes := converter(source.converter).RECORD_TYPES)}:
        raise UserError(f"the converter {source.converter} makes {' or '.join(makes)} records; {target.name} needs {kind} or text records")
    of_training = TrainingForm.of(data) if data and kind == "classification" else None
    form = of_training if of_training and of_training.converter != source.converter else None
    return Reading(source, kind, fix_mojibake=data.fix_mojibake if data else True, form=form)


def predict(job: Job, out: Path, display: Display) -> Predicted:
    """Write the predictions of the source's rows to `out`, as CSV if its name ends in .csv, else as JSON Lines.

    Raises UserError if no row can be predicted, if a column has the prediction's name, or if another process writes the same file, and
    Interrupted if it is stopped.
    """
    with _predicted(job, out, out.with_name(f"{out.name}.part"), display) as work:
        return _written(out, lambda: rows_with_predictions(work))


def predict_joined(jobs: list[Job], out: Path, display: Display) -> Predicted:
    """Write one label for each row, joined from the letters that the binary models predict.

    Raises UserError if the models do not cover all letters, and as `predict` does.
    """
    schemes: list[LabelScheme] = []
    pairs: list[str] = []  # the two letters of each model
    for job in jobs:
        if (found := pair_of(job.model.labels)) is None:
            what = f"has labels that are not the letters of a type: {', '.join(job.model.labels[:4])}"
            raise UserError(Problem(job.model.name, what, "several models must each predict one letter of the same label", "not-letters"))
        schemes.append(found[0])
        pairs.append(found[1])
    scheme = require_all_letters(schemes, dict.fromkeys(pairs))
    if len(pairs) > len(scheme.pairs):
        twice = next(pair for pair in pairs if pairs.count(pair) > 1)
        raise UserError(f"two models predict {twice}", hint="name one model for each letter")
    with ExitStack() as stack:
        works = {
            pair: stack.enter_context(_predicted(job, out, out.with_name(f"{out.name}.{pair}.part"), display))
            for pair, job in zip(pairs, jobs, strict=True)
        }
        return _written(out, lambda: joined_rows(scheme, works))


def joined_rows(scheme: LabelScheme, works: dict[str, RunFolder]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each row with its likeliest label, taking the letters as independent; a row that lacks a letter has an `error`."""
    for of_row in zip(*(rows_with_predictions(works[pair]) for pair in scheme.pairs), strict=True):
        letters = {pair: prediction for pair, (_, prediction) in zip(scheme.pairs, of_row, strict=True)}
        if faults := [f"{pair}: {found['error']}" for pair, found in letters.items() if "error" in found]:
            yield of_row[0][0], {"error": faults[0]}
            continue
        chances = scheme.joined_probabilities({pair: found["probabilities"] for pair, found in letters.items()})
        label = "".join(found["label"] for found in letters.values())
        shown = {pair: {key: found[key] for key in ("label", "probability")} for pair, found in letters.items()}
        probabilities = {name: round(chance, 6) for name, chance in chances.items()}
        yield of_row[0][0], {"label": label, "probability": probabilities[label], "letters": shown, "probabilities": probabilities}


@contextmanager
def _predicted(job: Job, out: Path, folder: Path, display: Display) -> Iterator[RunFolder]:
    """Yield the work folder, complete and locked; remove it when the block succeeds."""
    reading = job.reading
    files = files_of(reading.source)
    refuse_inputs_in(out, (file.path for file in files))
    hashes = [[file.name, source_sha256(file.path)] for file in files]
    made_of = (converter(reading.source.converter).VERSION, reading.source._replace(path="")._asdict(), reading[1:], hashes)
    key = key_of("predict", VERSION, job.model.identity, made_of, job.settings, package_versions())
    work = RunFolder(folder)
    _begin(work)
    refused: UserError | None = None
    with work.locked():  # which reports a folder that is removed meanwhile
        try:
            _prepare(work, key, job, display)
        except UserError as error:
            refused = error
        else:
            _run(work, display)
            yield work
    shutil.rmtree(work.path)
    if refused:
        raise refused


def _written(out: Path, rows: Rows) -> Predicted:
    """Write the file, and count its rows."""
    (write_csv if out.suffix.lower() == CSV else write_jsonl)(out, rows)
    counts, faults = Counter[bool](), []
    for row, prediction in rows():
        has_failed = "error" in prediction
        counts[not has_failed] += 1
        if has_failed and len(faults) < SHOWN:
            faults.append(f"{row['id']}: {prediction['error']}")
    return Predicted(counts.total(), counts[True], faults)


def _begin(work: RunFolder) -> None:
    """Make the folder. Raises UserError if it exists and does not belong to a prediction."""
    if work.path.is_dir() and any(work.path.iterdir()) and not (work / "lock").is_file():
        raise UserError(Problem(work.path, "exists and was not written by recipekit", "choose another --out", "not-ours"))
    work.path.mkdir(parents=True, exist_ok=True, mode=0o700)


def _prepare(work: RunFolder, key: str, job: Job, display: Display) -> None:
    """Write the worker's request; keep what is left of the same work as it was written, and remove what is left of other work."""
    faults = seal_faults(work.path)
    for fault in faults:
        display.say("predict", f"{work.path}: {fault}: predicted again from the first row", "warning")
    if not faults and (before := work.find(PREDICT_REQUEST)) and before["key"] == key:
        if (work / PREDICTED).exists() and cut_changed_lines(work / PREDICTED):
            display.say("predict", f"{work / PREDICTED}: lines are missing or changed: predicted again from there", "warning")
        return
    require_weights_of(job.model)
    for name in (PREDICT_REQUEST.name, SEAL, PREDICTED, sums_of(Path(PREDICTED)).name, PROGRESS, "predict.log"):
        (work / name).unlink(missing_ok=True)
    counts, faults = Counter[bool](), []
    write_atomically(work / ROWS, _row_lines(job.reading, counts, faults))
    if not counts[True]:
        hint = (
            "choose how they are read: --converter messages for chats, table for columns, or text --option sample_by=line for a prompt on "
            "each line; recipe show --converter NAME lists the options"
        )
        what = "no row can be predicted" if counts else "holds no rows"
        raise UserError(*(Problem("", fault, rule="not-predicted") for fault in faults),
                        Problem(job.reading.source.path, what, hint, "no-rows"))  # fmt: skip
    work.write(PREDICT_REQUEST, {
        "key": key, "model": _absolute(job.model)._asdict(), "record_type": job.reading.record_type, "settings": job.settings,
        "rows": counts[True], "count": counts.total(),
    })  # fmt: skip
    seal_files(work.path, [PREDICT_REQUEST.name, ROWS])


def _row_lines(reading: Reading, counts: Counter[bool], faults: list[str]) -> Iterator[bytes]:
    """Yield a line for each row; count rows that can and cannot be predicted, and keep the first faults."""
    for row in read_unanswered(reading):
        require_free_column(row.id, row.columns)
        counts[not row.fault] += 1
        if row.fault and len(faults) < SHOWN:
            faults.append(f"{row.id}: {row.fault}")
        yield write_json(row._asdict()) + b"\n"


def _absolute(model: ModelReference) -> ModelReference:
    """Return the model with absolute folders: the worker has another working directory."""
    names = {name: str(Path(value).absolute()) for name in ("base", "adapter", "tokenizer") if Path(value := getattr(model, name)).is_dir()}
    return model._replace(**{name: path for name, path in names.items() if getattr(model, name)})


def _run(work: RunFolder, display: Display) -> None:
    """Have the worker predict the remaining rows."""
    done = sum(len(line["rows"]) for line in each_line(work / PREDICTED, "rows"))
    total = work.read(PREDICT_REQUEST)["rows"]
    if done == total:
        return
    if done:
        display.say("predict", f"continuing after {counted_of(done, total, 'row')}")
    display.event({"event": "stage", "name": "load model"})  # with the imports
    argv = (sys.executable, "-m", "recipekit.runner.worker.predict")
    try:
        run_child(argv, work.path, model_environment(this_machine()), "predict.log", "the prediction", display.event)
    except UserError as error:
        hint = "run the same command again: it continues"
        kind = Interrupted if isinstance(error, Interrupted) else UserError
        raise kind(*(p.replaced(hint=hint) if "recipe resume" in p.hint else p for p in error.problems)) from None
    finally:
        display.clear()


def rows_with_predictions(work: RunFolder) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each row with its prediction, in the order of the file; a missing prediction has an `error`."""
    batches = each_line(work / PREDICTED, "rows")
    known: dict[int, dict[str, Any]] = {}
    with (work / ROWS).open("rb") as stream:
        for number, line in enumerate(stream):
            row = parse_json(line)
            while row["fields"] and number not in known:
                known.update((index, prediction) for index, prediction in next(batches)["rows"])
            yield row, known.pop(number) if row["fields"] else {"error": row["fault"]}
