"""BLiMP with lm-eval: in which minimal pairs a model prefers the grammatical sentence.

The pairs are in a folder prepared by evaluation/blimp.py; nothing is downloaded here. The task is lm-eval's blimp: the summed
log-likelihood of each sentence, without a prompt.
"""

from pathlib import Path
from typing import Any

from ..evaluation.blimp import files


def right_pairs(model: Any, tokenizer: Any, folder: str) -> dict[str, list[bool]]:
    """Return for each file whether the model is right in each pair, in the file's order."""
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.evaluator import evaluate
    from lm_eval.models import huggingface

    paths = files(Path(folder))
    tasks: dict[str, Any] = {f"minimal_pairs_{name}": ConfigurableTask(config=task(name, path)) for name, path in paths.items()}
    wrapped: Any = huggingface.HFLM
    measured: Any = evaluate(
        wrapped(pretrained=model, tokenizer=tokenizer, batch_size=16), task_dict=tasks, bootstrap_iters=0, log_samples=True
    )
    samples = {name: sorted(measured["samples"][f"minimal_pairs_{name}"], key=lambda sample: sample["doc_id"]) for name in paths}
    return {name: [sample["acc"] == 1 for sample in of_file] for name, of_file in samples.items()}


def task(name: str, path: Path) -> dict[str, Any]:
    """Return lm-eval's configuration of minimal pairs for a file."""
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
