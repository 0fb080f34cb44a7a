"""`recipe mask`: have the first rows of a split tokenised as the trainer tokenises them."""

import sys
from pathlib import Path
from typing import Any

from ...converters.building.pipeline import build
from ...schemas.base.errors import Problem, UserError
from ...schemas.batch import with_micro_batch_size
from ...schemas.recipe import LoadedRecipe
from ..generate.stage import with_generated_rows
from ..launch.plan import make_job
from ..models.resolve import require_model_of, resolve_model
from ..runtime.child_process import run_child
from ..runtime.machine import this_machine
from ..runtime.progress import read_lines
from ..runtime.run_folder import RunFolder


def masked_rows(loaded: LoadedRecipe, root: Path, run: RunFolder, split: str, count: int) -> list[dict[str, Any]]:
    """Return the first rows of the split: id, input_ids, labels, and segments of text, trained or masked. `run` is an empty folder."""
    require_model_of(loaded, root)
    manifest = build(with_generated_rows(loaded, root), run / "data")
    _require_split(loaded, manifest["splits"], split)
    one_row = loaded._replace(recipe=with_micro_batch_size(loaded.recipe, 1))  # batches have no say in what is trained
    planned = make_job(one_row, manifest, this_machine(), resolve_model(loaded.recipe.model, root))
    planned.plan.write(run.path)
    lines = (run / "data" / f"{split}.jsonl").read_bytes().splitlines(keepends=True)[:count]
    (run / "chosen.jsonl").write_bytes(b"".join(lines))
    argv = (sys.executable, "-m", "recipekit.runner.worker.tokenization", "chosen.jsonl", "tokens.jsonl")
    run_child(argv, run.path, planned.plan.env, "mask.log", "tokenising", lambda event: None)
    return read_lines(run / "tokens.jsonl")


def _require_split(loaded: LoadedRecipe, splits: dict[str, int], split: str) -> None:
    """Raise UserError if the split has no rows, naming the splits that have some."""
    if not splits.get(split):
        filled = [name for name, count in splits.items() if count]
        hint = f"use --split {' or '.join(filled)}, or set data.split" if filled else "no rows were read: see data.sources"
        raise UserError(Problem(loaded.document.location(("data", "split")), f"the {split} split is empty", hint, "empty-split"))
