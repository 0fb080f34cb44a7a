"""BLiMP: minimal pairs of a grammatical and an ungrammatical sentence (Warstadt et al. 2020), and results of BabyLM's evaluation pipeline.

The pairs are JSON Lines files in a folder, one per paradigm, with sentence_good and sentence_bad; or a dataset on the hub with a subset per
paradigm (hf:nyu-mll/blimp), which is downloaded into such a folder. worker/probes.py measures them with lm-eval.
"""

import json
from pathlib import Path
from typing import Any

import orjson

from ...converters.building.hub_datasets import SCHEME, HubRows, commit_of, subsets
from ...converters.reading.records import Drop
from ...converters.sources.registry import converter
from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import MANIFEST, new_folder, write_atomically
from ...schemas.base.hashing import with_contents
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import Source
from ..models.resolve import cache_folder

FIELDS = ("sentence_good", "sentence_bad")


def identity(value: str) -> Any:
    """Return what identifies the pairs: a dataset with its commit, or the contents of a folder. Asks the hub unless the value has a
    commit."""
    source = _source(value)
    return f"{source.path}@{commit_of(source)}" if source else with_contents(value)


def name_of(value: str) -> str:
    """Return the name of the pairs to display: the dataset with its commit, or the folder's name."""
    return identity(value) if _source(value) else Path(value).name


def prepare(value: str) -> str:
    """Return the folder of the pairs, downloaded from the hub if necessary. Raises UserError if they are not valid."""
    source = _source(value)
    folder = downloaded(source) if source else Path(value)
    if wrong := faults(folder):
        raise UserError(*(Problem("evaluation.blimp", line, "JSON Lines of minimal pairs", "blimp") for line in wrong[:20]))
    return str(folder.absolute())


def pin_pairs(loaded: LoadedRecipe) -> LoadedRecipe:
    """Return the recipe with the commit of its pairs on the hub, so that resuming and reproducing measure the same pairs."""
    value = loaded.recipe.evaluation.blimp
    return loaded.with_value(("evaluation", "blimp"), identity(value)) if value and _source(value) else loaded


def _source(value: str) -> Source | None:
    """Return the dataset that `hf:NAME` or `hf:NAME@REVISION` names."""
    if not value.startswith(SCHEME):
        return None
    path, _, revision = value.partition("@")
    return Source(path, "table", revision=revision or None)


def downloaded(source: Source) -> Path:
    """Return the folder of a dataset's pairs in the user's cache, one file per subset; a complete folder is not downloaded again."""
    commit = commit_of(source)
    folder = cache_folder() / "minimal_pairs" / f"{source.path.removeprefix(SCHEME).replace('/', '--')}@{commit}"
    if (folder / MANIFEST).is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with new_folder(folder, MANIFEST, set()) as new:
        pairs = {}
        for subset in subsets(source, commit):
            rows = HubRows(source._replace(revision=commit, subset=subset), converter("table"), 1 << 20).rows()
            values = ({} if isinstance(row, Drop) else row.value for row in rows)  # `faults` names what lacks a field
            lines = [orjson.dumps({field: value.get(field) for field in FIELDS}) for value in values]
            (new / f"{subset}.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
            pairs[subset] = len(lines)
        write_atomically(new / MANIFEST, orjson.dumps({"source": source.path, "commit": commit, "pairs": pairs}))
    return folder


def files(folder: Path) -> dict[str, Path]:
    """Return name -> file for every JSON Lines file in the folder, sorted by name."""
    found = sorted(folder.iterdir())
    return {path.stem: path for path in found if path.suffix in (".jsonl", ".json") and path.is_file() and path.name != MANIFEST}


def faults(folder: Path) -> list[str]:
    """Return why the folder cannot be used, in words; called before a model is loaded."""
    if not folder.is_dir():
        return [f"{folder} is not a folder"]
    found = files(folder)
    wrong = [] if found else [f"{folder} has no .jsonl file"]
    for path in found.values():
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                try:
                    row = json.loads(line)
                except ValueError:
                    row = None
                if not isinstance(row, dict) or not all(isinstance(row.get(field), str) for field in FIELDS):
                    wrong.append(f"{path.name}:{number} has no {' and '.join(FIELDS)}")
                    break
    return wrong


PHENOMENA = (
    "anaphor_agreement", "argument_structure", "binding", "control_raising", "determiner_noun_agreement", "ellipsis", "filler_gap",
    "irregular_forms", "island_effects", "npi_licensing", "quantifiers", "subject_verb_agreement",
)  # fmt: skip


def blimp(folder: Path) -> dict[str, Any]:
    """Return the accuracy of each phenomenon in percent, and their mean. Raises UserError if one is missing: the mean would be another
    number."""
    found = {name: 100 * _accuracy(folder / "zeroshot" / name / "eval_results.json") for name in PHENOMENA}
    return {"phenomena": found, "mean": sum(found.values()) / len(found)}


def glue(folder: Path) -> dict[str, float]:
    """Return the accuracy in percent of each fine-tuned task that has a result."""
    return {path.parent.name: 100 * _accuracy(path) for path in sorted((folder / "finetune").glob("*/eval_results.json"))}


def _accuracy(path: Path) -> float:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return float(values["eval_accuracy"])
    except FileNotFoundError:
        problem = Problem(path, "no such result file", f"BLiMP has {len(PHENOMENA)} phenomena", "no-such-file")
        raise UserError(problem) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(Problem(path, f"has no eval_accuracy: {error}", '{"eval_accuracy": 0.79}', "no-accuracy")) from None
