"""The predictions of base and tuned model: those of the same key are reused, the others are made by the evaluator.

Those of the base model are also taken from an earlier run of the recipe that trained otherwise.
"""

import json
import shutil
import sys
from pathlib import Path

from ...schemas import VERSION
from ...schemas.base.counted import counted
from ...schemas.base.errors import UserError
from ...schemas.base.files import remove, remove_folder, replacing_folder, write_atomically
from ...schemas.base.hashing import SEAL, file_sha256, key_of
from ...schemas.evaluation_rules import generates_replies
from ...schemas.sections import Recipe
from ..evaluation.evaluated_rows import SET_ROWS, set_rows
from ..evaluation.probes import PROBES
from ..launch.plan import CONFIG
from ..runtime.child_process import run_child
from ..runtime.child_requests import EvaluationRequest, SetRequest
from ..runtime.line_sums import drop_changed_lines, write_sums
from ..runtime.machine import package_versions
from ..runtime.progress import read_lines
from ..runtime.run_files import (
    EVALUATING,
    EVALUATION,
    EVALUATION_CONFIG,
    EVALUATION_REQUEST,
    LAST_REQUEST,
    PREDICTIONS,
    ROWS,
    SETS,
    RunFile,
)
from ..runtime.run_folder import RunFolder
from ..runtime.seals import read_seal, seal_faults, seal_files, unseal_files
from .context import RunContext

_AFTER_BASE = (  # keys of the training section that change the tuned model, but nothing that the base model is asked or answers
    *("learning_rate", "lora_r", "lora_alpha", "lora_dropout", "lora_target_modules", "num_epochs", "max_steps", "lr_scheduler"),
    *("warmup_ratio", "warmup_steps", "optimizer", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm", "seed"),
    *("micro_batch_size", "gradient_accumulation_steps", "global_batch_size", "sample_packing", "group_by_length", "logging_steps"),
    *("eval_steps", "save_steps", "save_total_limit", "early_stopping_patience", "metric_for_best_model", "load_best_model_at_end"),
    *("trackers", "tracker_project", "tracker_run_name"),
)


def predict(context: RunContext, recipe: Recipe, rows: list[bytes], before: EvaluationRequest | None, bits: int) -> EvaluationRequest:
    """Let the evaluator write the missing predictions, with a base model of `bits`; return their request."""
    run, plan = context.run, context.job.plan
    sets = set_requests(run, recipe, context.keys["train"], bits)
    if before and before.get("complete") and before["sets"] == sets:
        return before
    request: EvaluationRequest = {
        "key": predictions_key(recipe, context.keys["train"], bits),
        "generate": generates_replies(recipe),
        "bits": bits,
        "generation": recipe.evaluation.generation._asdict(),
        "packages": package_versions(),
        "machine": context.machine._asdict(),
        "sets": sets,
    }
    write_atomically(run / EVALUATING / ROWS, b"".join(rows))
    write_set_rows(run, recipe, sets, before["sets"] if before else {})
    seal_files(run / EVALUATING, [name for name in _kept(run / EVALUATING) if name.endswith(ROWS)])
    write_atomically(run / EVALUATION_CONFIG, plan.files[CONFIG].encode())
    if recipe.data.type != "classification":
        request["base"] = base_keys(context, recipe, request)
    run.write(EVALUATION_REQUEST, request)
    if not before and "base" in request and (earlier := take_over_base(run, context.previous, request["base"])):
        context.display.say("evaluate", f"the base model's predictions are those of {earlier.path.name}: same model, rows and settings")
    argv = (sys.executable, "-m", "recipekit.runner.worker.evaluate")
    context.display.event({"event": "stage", "name": "load model"})  # with the imports, up to half a minute
    run_child(argv, run.path, plan.env, "eval.log", "the evaluation", context.display.event)
    request["complete"] = True
    run.write(EVALUATION_REQUEST, request)
    return request


def base_keys(context: RunContext, recipe: Recipe, request: EvaluationRequest) -> dict[str, str]:
    """Return a key for the base model's predictions on the evaluated rows (""), and on those of each further set."""
    training = {name: value for name, value in recipe.training._asdict().items() if name not in _AFTER_BASE}
    asked = (recipe.model, recipe.data._replace(sources=()), training, recipe.axolotl, context.model.identity)
    by = (VERSION, request["packages"], request["machine"], request["bits"])
    whole = key_of("base", *by, *asked, request["generate"], request["generation"])
    rows = {"": EVALUATING, **{name: f"{EVALUATING}/{SETS}/{name}" for name in request["sets"]}}
    sets = {name: {key: value for key, value in found.items() if key != "key"} for name, found in request["sets"].items()}
    return {name: key_of(whole, file_sha256(context.run / folder / ROWS), sets.get(name)) for name, folder in rows.items()}


def take_over_base(run: RunFolder, previous: list[RunFolder], keys: dict[str, str]) -> RunFolder | None:
    """Write to evaluating/ what the base model predicted with these keys in an earlier run; return that run."""
    for earlier in previous:
        request = request_of(earlier, LAST_REQUEST)
        if request is None or request.get("base") != keys or seal_faults(earlier / EVALUATION):
            continue
        places = [Path(SETS, name, PREDICTIONS) if name else Path(PREDICTIONS) for name in keys]
        found = [[line for line in read_lines(earlier / EVALUATION / place, "model", "id") if line["model"] == "base"] for place in places]
        for place, lines in zip(places, found, strict=True):
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            write_atomically(run / EVALUATING / place, text.encode())
            write_sums(run / EVALUATING / place)
        return earlier
    return None


def reuse_predictions(context: RunContext, key: str) -> EvaluationRequest | None:
    """Fill evaluating/ with the predictions of this key that there are: those of an interrupted evaluation, or a copy of the last one's.

    Return their request; None, with no evaluating/, if there are none. Predictions on further sets come with them. A warning names what
    cannot be used and is made again.
    """
    if request := _interrupted_request(context, key):
        return request
    if request := _last_request(context, key):
        _copy_last_evaluation(context.run)
        return request
    remove_folder(context.run / EVALUATING)
    return None


def _interrupted_request(context: RunContext, key: str) -> EvaluationRequest | None:
    """Return the request of an interrupted evaluation of this key, without what was changed in evaluating/ since; None if there is none."""
    folder = context.run / EVALUATING
    try:
        request = context.run.find(EVALUATION_REQUEST)
        if request is None and any(folder.rglob(PREDICTIONS)):
            _warn_of([f"{Path(EVALUATION_REQUEST.name).name} is missing"], folder, context)
        if request is None or request["key"] != key:
            return None
        dropped = _drop_changed(folder)
    except (OSError, UserError) as error:
        context.warn("evaluate", f"{error}: not used")
        return None
    _warn_of(dropped, folder, context)
    if dropped:
        request.pop("complete", None)
    return request


def _last_request(context: RunContext, key: str) -> EvaluationRequest | None:
    """Return the request of the last evaluation if it has this key and eval/ is as it was written."""
    folder = context.run / EVALUATION
    try:
        request = context.run.find(LAST_REQUEST)
        if request is None or request["key"] != key:
            return None
        faults = seal_faults(folder)
    except (OSError, UserError) as error:
        context.warn("evaluate", f"{error}: not used")
        return None
    _warn_of(faults, folder, context)
    return None if faults else request


def _warn_of(faults: list[str], folder: Path, context: RunContext) -> None:
    for fault in faults:
        context.warn("evaluate", f"{folder}: {fault}: not used")


def _copy_last_evaluation(run: RunFolder) -> None:
    """Replace evaluating/ by a copy of eval/, in which only what another evaluation does not write again is sealed."""
    with replacing_folder(run / EVALUATING) as copy:
        shutil.copytree(run / EVALUATION, copy, dirs_exist_ok=True)
        (copy / SEAL).unlink(missing_ok=True)
        seal_files(copy, _kept(copy))
        for path in copy.rglob(PREDICTIONS):
            write_sums(path)


def _kept(folder: Path) -> list[str]:
    """Return the files that another evaluation takes over as they are: rows, and results of probes. Each is written in one go."""
    names = (ROWS, *(Path(probe.file.name).name for probe in PROBES.values()))
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.name in names)


def _drop_changed(folder: Path) -> list[str]:
    """Remove from an unfinished evaluation what is not as it was written; return what that was.

    Of the rest, only what another evaluation takes over stays sealed: it writes everything else again.
    """
    found = []
    for path in sorted(folder.rglob(PREDICTIONS)):
        if count := drop_changed_lines(path):
            found.append(f"{path.relative_to(folder)}: {counted(count, 'line', 'are')} missing or changed")
    for name in read_seal(folder) or {}:
        if faults := seal_faults(folder, [name]):
            remove(folder / name)
            unseal_files(folder, [name])
            found += faults
    unseal_files(folder, {*(read_seal(folder) or {})} - {*_kept(folder)})
    return found


def request_of(run: RunFolder, file: RunFile[EvaluationRequest]) -> EvaluationRequest | None:
    """Return the request; None if it cannot be read, so that its predictions are not used."""
    try:
        return run.find(file)
    except UserError:
        return None


def set_requests(run: RunFolder, recipe: Recipe, train: str, bits: int) -> dict[str, SetRequest]:
    """Return what to predict on each further set. Its key changes with everything that predictions depend on."""
    found: dict[str, SetRequest] = {}
    for name in recipe.evaluation.also:
        of_set = recipe.of_set(name)
        key = key_of(predictions_key(of_set, train, bits), file_sha256(run / SETS / name / SET_ROWS), of_set.data.type)
        generation = of_set.evaluation.generation._asdict()
        found[name] = {"key": key, "record_type": of_set.data.type, "generate": generates_replies(of_set), "generation": generation}
    return found


def write_set_rows(run: RunFolder, recipe: Recipe, sets: dict[str, SetRequest], before: dict[str, SetRequest]) -> None:
    """Write the rows of each further set to evaluating/, and remove predictions that were made from something else."""
    for name in {*before} - {name for name, asked in sets.items() if before.get(name) == asked}:
        remove_folder(run / EVALUATING / SETS / name)
        unseal_files(run / EVALUATING, [f"{SETS}/{name}"])
    for name in recipe.evaluation.also:
        write_atomically(run / EVALUATING / SETS / name / ROWS, b"".join(set_rows(run.path, recipe, name)))


def predictions_key(recipe: Recipe, train: str, bits: int) -> str:
    """Return a hash of what predictions depend on, but not of what is measured on them."""
    evaluation = recipe.evaluation
    generation = evaluation.generation if generates_replies(recipe) else evaluation.generation.batch_size
    return key_of("predictions", VERSION, train, recipe.evaluation_split, evaluation.max_rows, evaluation.generation.seed, generation, bits)
