"""BLiMP through lm-eval: how often a model finds the grammatical sentence of a minimal pair likelier (Warstadt et al. 2020).

The data are a folder of JSON Lines files, one a phenomenon or paradigm, with sentence_good and sentence_bad; nothing is downloaded. The
task is that of lm-eval's own blimp: the summed log-likelihood of each sentence, without a prompt.
"""

import json
from pathlib import Path
from typing import Any

FIELDS = ("sentence_good", "sentence_bad")


def files(folder: Path) -> dict[str, Path]:
    """Name -> file of every JSON Lines file in the folder, in the order of the names."""
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in (".jsonl", ".json") and path.is_file()}


def faults(folder: Path) -> list[str]:
    """Why the folder cannot be used, in words: before any model is loaded."""
    if not folder.is_dir():
        return [f"{folder} is no folder"]
    found = files(folder)
    wrong = [] if found else [f"{folder} holds no .jsonl file"]
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


def accuracies(model: Any, tokenizer: Any, folder: str) -> dict[str, Any]:
    """The percentage of right pairs of each file, its pairs, and the mean over files."""
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.evaluator import evaluate
    from lm_eval.models import huggingface

    paths = files(Path(folder))
    tasks: dict[str, Any] = {f"minimal_pairs_{name}": ConfigurableTask(config=task(name, path)) for name, path in paths.items()}
    wrapped: Any = huggingface.HFLM
    measured: Any = evaluate(wrapped(pretrained=model, tokenizer=tokenizer, batch_size=16), task_dict=tasks, bootstrap_iters=0)
    phenomena = {name: 100 * measured["results"][f"minimal_pairs_{name}"]["acc,none"] for name in paths}
    pairs = {name: measured["n-samples"][f"minimal_pairs_{name}"]["effective"] for name in paths}
    return {"phenomena": phenomena, "pairs": pairs, "mean": sum(phenomena.values()) / len(phenomena)}


def task(name: str, path: Path) -> dict[str, Any]:
    """lm-eval's configuration of minimal pairs, on a file."""
    return {
        "task": f"minimal_pairs_{name}",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"validation": str(path)}},
        "output_type": "multiple_choice",
        "validation_split": "validation",
        "num_fewshot": 0,
        "doc_to_text": "",
        "doc_to_target": 0,
        "doc_to_choice": "{{[sentence_good, sentence_bad]}}",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1.0},
    }
