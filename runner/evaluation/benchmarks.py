"""Result files of BLiMP and GLUE as BabyLM's evaluation pipeline leaves them: FOLDER/zeroshot/<phenomenon>/eval_results.json.

{"eval_accuracy": 0.789}; the mean over the 12 phenomena of BLiMP (Warstadt et al. 2020), in percent, is the number that BabyLM reports.
"""

import json
from pathlib import Path
from typing import Any

from ...schemas.base.errors import Mark, Problem, UserError

PHENOMENA = (
    "anaphor_agreement", "argument_structure", "binding", "control_raising", "determiner_noun_agreement", "ellipsis", "filler_gap",
    "irregular_forms", "island_effects", "npi_licensing", "quantifiers", "subject_verb_agreement",
)  # fmt: skip


def blimp(folder: Path) -> dict[str, Any]:
    """Accuracy in percent of each phenomenon, and their mean. Raises UserError where one is missing: a mean of fewer is another number."""
    found = {name: 100 * _accuracy(folder / "zeroshot" / name / "eval_results.json") for name in PHENOMENA}
    return {"phenomena": found, "mean": sum(found.values()) / len(found)}


def glue(folder: Path) -> dict[str, float]:
    """Accuracy in percent of each fine-tuned task that has a result."""
    return {path.parent.name: 100 * _accuracy(path) for path in sorted((folder / "finetune").glob("*/eval_results.json"))}


def _accuracy(path: Path) -> float:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return float(values["eval_accuracy"])
    except FileNotFoundError:
        problem = Problem(Mark(str(path)), "no such result file", f"BLiMP has {len(PHENOMENA)} phenomena", "no-such-file")
        raise UserError(problem) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(Problem(Mark(str(path)), f"has no eval_accuracy: {error}", '{"eval_accuracy": 0.79}', "no-accuracy")) from None
