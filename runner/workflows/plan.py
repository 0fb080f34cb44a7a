"""`recipe plan`: estimate a recipe's steps, memory, disk and time, without training it."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...converters.building.pipeline import build
from ...schemas.base.counted import counted
from ...schemas.batch import batch_of
from ...schemas.recipe import LoadedRecipe
from ..generate.stage import with_generated_rows
from ..launch.kernels import installed_kernels, kernels
from ..launch.steps import early_stopping_note, optimizer_steps, require_rows, step_problems
from ..models.architecture import architecture_of
from ..models.resolve import require_model_of, require_unquantised_of
from ..resources.batch_size import locked_batch, with_batch
from ..resources.estimate_fit import estimate_fit, size_of
from ..resources.fit import problems, warnings
from ..resources.model_checks import architecture_problems, model_name_problems
from ..resources.training_time import Rate, earlier_timings, method, past_errors, predict, rate_of, tokens_in_epoch
from ..runtime.machine import Machine, this_machine
from ..runtime.progress import read_lines
from ..runtime.run_files import STEP_LOG, TOKENS, TRAIN_ROWS
from ..runtime.run_folder import RunFolder
from ..stages.sets import build_sets
from .resume_check import prepare

PROBE_STEPS = 2
PROBE_SECONDS = 60  # including imports and loading the model


def plan_recipe(loaded: LoadedRecipe, root: Path, machine: Machine, with_probe: bool, price_per_hour: float | None) -> dict[str, Any]:
    """Return the figures; what cannot be computed is None, never a guess. Raises UserError if the data cannot be converted."""
    facts = _estimated(loaded, root, machine)
    rate = None
    if with_probe:
        rate, steps = _probe(loaded, root.absolute())
        facts["steps"] = steps if facts["steps"] is None else facts["steps"]
    failed = f"no step of the probe ended in {PROBE_SECONDS} s" if with_probe and rate is None else None
    time = _time(with_batch(loaded, facts["batch"]), root, machine, facts, rate, price_per_hour)
    return facts | {"time": time | {"failed_probe": failed}}


def _estimated(loaded: LoadedRecipe, root: Path, machine: Machine) -> dict[str, Any]:
    """Return all figures but the time, from the converted data."""
    recipe = loaded.recipe
    if size_of(recipe) is None:
        require_model_of(loaded, root)  # this also fetches its configuration
    else:
        require_unquantised_of(loaded)
    with TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        manifest = build(with_generated_rows(loaded, root), data)
        splits, records = manifest["splits"], data / "train.jsonl"
        require_rows(loaded, splits, manifest["rows_in"])
        batch = locked_batch(loaded, machine, manifest, records, recipe.model.base_model)
        recipe = with_batch(loaded, batch).recipe
        steps = None if recipe.data.type == "text" else optimizer_steps(recipe, splits["train"])
        found = estimate_fit(recipe, machine, root, len(manifest.get("labels", ())), steps, records)
        sets = build_sets(recipe, manifest, data, Path(folder) / "sets")
        data_bytes = records.stat().st_size
    size = size_of(recipe)
    refused = [*step_problems(recipe, loaded.document, splits["train"]), *model_name_problems(loaded)]
    refused += architecture_problems(loaded, architecture_of(recipe.model))
    refused += problems(found, recipe.data.type == "text" and recipe.training.sample_packing) if found else []
    close = [*(warnings(found, refused) if found else []), *early_stopping_note(recipe, splits["train"])]
    installed = installed_kernels() if machine == this_machine() else None
    return {
        "recipe": recipe.name, "data_bytes": data_bytes,
        "kernels": [kernel._asdict() for kernel in kernels(recipe, machine, installed, 0, architecture_of(recipe.model))],
        "rows_in": manifest["rows_in"], "dropped": manifest["dropped"],
        "splits": splits, "sets": {name: made["rows_kept"] for name, made in sets.items()},
        "batch": batch | {"rows": batch_of(recipe).rows}, "steps": steps,
        "model": {"name": recipe.model.base_model, "parameters": size.parameters, "source": size.source} if size else None,
        "needs": found.facts() if found else None, "unknown": found.unknown if found else "the model's size",
        "warnings": close, "problems": [str(problem) for problem in refused],
    }  # fmt: skip


def _probe(loaded: LoadedRecipe, root: Path) -> tuple[Rate | None, int | None]:
    """Train until a step beyond PROBE_STEPS ends, or for PROBE_SECONDS, then kill the trainer.

    Return the rate of the newest step, None if none was completed in time, and the number of steps of the whole training.
    """
    steps: int | None = None

    def follow(event: dict[str, Any]) -> None:
        nonlocal steps
        if event["event"] == "train":
            steps = event["steps"]

    training = loaded.recipe.training._replace(logging_steps=1)
    with TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        trial = prepare(loaded._replace(recipe=loaded.recipe._replace(training=training)), root, run.path, follow)
        trial.train(kill_at=PROBE_STEPS + 1, kill_after=PROBE_SECONDS)
        measured = [line for line in read_lines(run / STEP_LOG) if "tokens_per_s" in line]
        if not measured:
            return None, steps
        tokens_per_byte = tokens_in_epoch(run.read(TOKENS)) / (run / TRAIN_ROWS).stat().st_size
    # the first step of a process is slower than the others
    source = f"a probe of {counted(len(measured), 'step')}, without evaluations and checkpoints"
    return Rate(measured[-1]["tokens_per_s"], tokens_per_byte, source), steps


def _time(
    loaded: LoadedRecipe, root: Path, machine: Machine, facts: dict[str, Any], rate: Rate | None, price: float | None
) -> dict[str, Any]:
    """Return tokens, seconds and cost, None without a known rate, with the errors of past predictions on this machine."""
    wanted, (timings, damaged) = method(loaded.recipe, machine), earlier_timings(root)
    rate = rate or rate_of(timings, wanted)
    found = predict(loaded.recipe, facts["splits"]["train"], facts["data_bytes"], rate) if rate else None
    cost = found.seconds / 3600 * price * loaded.recipe.launch.num_nodes if found and price is not None else None
    return {
        "tokens": found.tokens if found else None, "seconds": round(found.seconds, 1) if found else None,
        "source": found.source if found else None, "cost": cost, "past_errors": past_errors(timings, wanted["machine"]),
        "damaged_timings": damaged,
    }  # fmt: skip
