"""`recipe check --data`: convert the first rows of every source, and check module names and rows against the model."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ...converters.building.hub_datasets import SCHEME
from ...converters.building.label_checks import check_labels
from ...converters.building.row_counts import Ledger
from ...converters.building.row_encoder import row_digest, with_system_prompt
from ...converters.building.trial import LIMIT, Trial, try_converter
from ...converters.building.unusable_rows import check_budget
from ...converters.reading.files import SourceFile, files_of
from ...schemas.base.counted import counted, counted_of, listed
from ...schemas.base.errors import Problem, UserError
from ...schemas.extends import load_layers
from ...schemas.generate_rules import GENERATED
from ...schemas.recipe import LoadedRecipe, is_prompt, load_recipe
from ...schemas.sections import RecordType, Source
from ...schemas.yaml_source import KeyPath
from ..models.architecture import architecture_of
from ..models.resolve import require_local_model_of
from ..models.template_rows import template_problems
from ..reporting.ledger_table import source_notes
from ..resources.model_checks import architecture_problems, model_name_problems
from ..resources.row_lengths import local_tokenizer, long_rows
from ..worker.prepared_rows import long_rows_fault


class Section:
    """What was read of the sources of a section: `data`, or a set of `evaluation.also`."""

    def __init__(self, max_dropped: float) -> None:
        self.max_dropped = max_dropped
        self.ledger = Ledger()
        self.labels: dict[str, str] = {}
        self.digests: set[bytes] = set()

    def add(self, trial: Trial, record_type: RecordType) -> None:
        """Count the rows of a source, and collect what its records are compared by."""
        self.ledger.kept += len(trial.records)
        self.digests.update(row_digest(record_type, record.fields) for record in trial.records)
        for record in trial.records if record_type == "classification" else ():
            self.labels.setdefault(record.fields["label"], str(record.row))
        for drop in trial.unusable:
            self.ledger.drop(drop)
        for reason, rows in trial.left_out.items():
            self.ledger.drop_filtered(reason, rows)


class DataCheck(NamedTuple):
    """The problems, the number of rows read, the sources not read, or not completely, what else to know about the rows, and the model
    whose tokenizer would tell how long they are, if that is not on this machine."""

    problems: list[Problem]
    rows: int = 0
    unread: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unmeasured: str = ""


def check_data(path: Path, settings: tuple[str, ...]) -> DataCheck:
    """Check the data and the model that a valid recipe names. The result has a problem for

    - a source that is missing, cannot be read, or has no usable row among its first ones,
    - more unusable rows than the recipe allows, and labels that are classes by mistake,
    - a folder that is no model, and a name of modules that the model does not have,
    - rows that the model's chat template cannot render, or that are too long for the recipe, if the model is on this machine.

    Hub datasets and generated rows are not read, and the hub is not asked for a model.
    """
    if is_prompt(load_layers(path, settings)):
        return DataCheck([])
    loaded = load_recipe(str(path), settings)
    recipe, problems = loaded.recipe, [*_found(require_local_model_of, loaded), *model_name_problems(loaded)]
    problems += architecture_problems(loaded, architecture_of(recipe.model))
    sections: dict[KeyPath, Section] = {("data",): Section(recipe.data.max_dropped)}
    sections |= {("evaluation", "also", name): Section(found.max_dropped) for name, found in recipe.evaluation.also.items()}
    tokenizer = local_tokenizer(recipe.model.base_model, recipe.model.revision)
    unread: list[str] = []
    files: list[SourceFile] = []
    notes: list[str] = []
    converters = Counter(source.converter for _, source, _ in recipe.all_sources())
    for place, source, record_type in recipe.all_sources():
        if source.path.startswith((SCHEME, GENERATED)):
            unread.append(source.path)
            continue
        try:
            files += files_of(source)
            trial = try_converter(source.converter, record_type, source.options, files_of(source), LIMIT, source.ignore_keys)
            if not trial.is_whole:
                unread.append(f"{source.path} beyond row {LIMIT:,}")
            _require_records(source, trial)
            notes += _notes(source, trial, place if converters[source.converter] > 1 else ())
        except UserError as error:
            location = loaded.document.location((*place, "path"))
            problems += [problem.replaced(location=location, what=str(problem).partition("\n")[0]) for problem in error.problems]
            continue
        problems += template_problems(loaded, trial.records)
        if record_type == recipe.data.type != "text":
            too_long, left_out = _length_findings(loaded, trial, tokenizer)
            problems += too_long
            notes += left_out
        sections[place[:-2]].add(trial, record_type)
    for key_path, section in sections.items():
        budget = float(section.max_dropped > 0) if unread else section.max_dropped
        problems += _found(check_budget, section.ledger, budget, files)
        problems += _found(check_labels, section.labels, recipe.data.labels)
        if section.ledger.filtered:
            notes.append(f"left out by the sources' options: {listed(section.ledger.filtered)}")
        if repeated := section.ledger.kept - len(section.digests):
            of = "" if key_path == ("data",) else f" of evaluation.also.{key_path[-1]}"
            kept = "all are kept, by data.dedup: none" if recipe.data.dedup == "none" and not of else "one of each is kept"
            notes.append(f"duplicates: {counted_of(repeated, section.ledger.kept, 'row')}{of}; {kept}")
    rows = sum(section.ledger.rows_in for section in sections.values())
    unmeasured = recipe.model.base_model if rows and tokenizer is None and recipe.data.type != "text" else ""
    return DataCheck(problems, rows, tuple(unread), tuple(notes), unmeasured)


def _length_findings(loaded: LoadedRecipe, trial: Trial, tokenizer: Any | None) -> tuple[list[Problem], list[str]]:
    """Return the problem of rows longer than sequence_len that would stop a run, or the note of those that it would drop or truncate."""
    recipe, records = loaded.recipe, trial.records
    fields = [with_system_prompt(record.fields, recipe.data.system_prompt) for record in records]
    if tokenizer is None or not (found := long_rows(recipe, fields, tokenizer)):
        return [], []
    length, strategy = recipe.training.sequence_len, recipe.training.excess_length_strategy
    if strategy != "raise":
        what = f"{counted_of(len(found), len(records), 'row', 'are')} longer than training.sequence_len ({length})"
        return [], [f"{what}, and would be {'dropped' if strategy == 'drop' else 'truncated'}"]
    location = loaded.document.location(("training", "sequence_len"))
    fault = long_rows_fault("", {str(records[number].row): tokens for number, tokens in found.items()}, length)
    what, _, hint = fault.rpartition(": ")
    return [Problem(location, what, hint, "long-rows")], []


def _found(check: Callable[..., None], *arguments: object) -> list[Problem]:
    """Return what a check that raises UserError finds, so that one report has the findings of all."""
    try:
        check(*arguments)
    except UserError as error:
        return list(error.problems)
    return []


def _notes(source: Source, trial: Trial, place: KeyPath) -> list[str]:
    """Return what a conversion would say of the source's keys and texts, as far as it was read. `place` is its key, unless its converter
    names it."""
    name = f"{'.'.join(map(str, place))} ({source.converter})" if place else ""
    facts = {"converter": source.converter, "place": name, "unread_keys": trial.unread, "absent": trial.absent,
             "artifacts": trial.artifacts, "files": trial.files}  # fmt: skip
    read = "" if trial.is_whole else f" (in the first {LIMIT:,} rows)"
    return [note + read for note in source_notes({"sources": [facts]})]


def _require_records(source: Source, trial: Trial) -> None:
    """Raise UserError if the converter can use none of the rows."""
    if trial.records:
        return
    what = f"the converter {source.converter} can use none of the first {counted(len(trial.unusable), 'row')}"
    what += f", e.g. {trial.unusable[0]}" if trial.unusable else ""
    raise UserError(Problem("", what, f"recipe new NAME --data {source.path} proposes a converter and its options", "unusable-data"))
