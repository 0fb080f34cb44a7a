"""Run the probes besides the held-out rows: logit lens, BLiMP, the sentiment of the replies, the replies to sample prompts.

python -m recipekit.runner.worker.probes (in the run directory) reads evaluating/probes_request.json; each probe writes one file to
evaluating/, and is skipped if that file has its key.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ..evaluation.blimp import files
from ..evaluation.probes import PROBES
from ..runtime.progress import Progress, refusing
from ..runtime.run_files import EVALUATING, EVALUATION_CONFIG, PROBES_REQUEST
from ..runtime.run_folder import RunFolder
from ..runtime.seals import seal_files, unseal_files
from .loss import unwrapped

POSITIONS = 8  # the last tokens of a prompt: more columns would not fit on a page


def main() -> None:
    """Answer evaluating/probes_request.json."""
    from .evaluate import models
    from .tokenization import load as load_config

    request = RunFolder(Path()).read(PROBES_REQUEST)
    progress = Progress()
    keys, asked = request["keys"], request["asked"]
    cfg, tokenizer = load_config(EVALUATION_CONFIG)
    if cfg.record_type == "classification":  # the only probe for a classification
        from .sample_prompts import labels

        progress.event("probe", what="labels of the sample prompts")
        return _write("prompts", keys, {"tuned": labels(cfg, asked["prompts"], request["bits"])})
    probes = {name: probe for name in keys if (probe := _probe(name, asked[name]))}
    found: dict[str, dict[str, Any]] = {name: {} for name in probes}
    for loaded in models(cfg, request["bits"]) if probes else ():
        for name, probe in probes.items():
            progress.event("probe", what=f"{name} of the {loaded.name} model")
            found[name][loaded.name] = probe(loaded, tokenizer, asked[name])
    if "sentiment_model" in keys:
        from .sentiment_probe import sentiment

        progress.event("probe", what="sentiment of the replies")
        found["sentiment_model"] = sentiment(asked["sentiment_model"]["classifier"], found.get("sentiment_model"))
    for name, values in found.items():
        _write(name, keys, values)


def _probe(name: str, asked: Any) -> Callable[[Any, Any, Any], Any] | None:
    """Return what probes each model; None if the replies to the evaluated rows are enough."""
    if name == "logit_lens":
        return lambda loaded, tokenizer, asked: lens(loaded.model, tokenizer, asked)
    if name == "prompts":
        from .sample_prompts import answers

        return answers
    if name == "sentiment_model":
        from .sentiment_probe import replies_to_prompts

        return replies_to_prompts if asked["prompts"] else None
    return lambda loaded, tokenizer, asked: right_pairs(loaded.model, tokenizer, asked)


def _write(name: str, keys: dict[str, str], values: dict[str, Any]) -> None:
    """Write the result, which an evaluation that is interrupted after that keeps as it was sealed."""
    file, folder = PROBES[name].file, Path(EVALUATING)
    unseal_files(folder, [Path(file.name).name])
    RunFolder(Path()).write(file, {"key": keys[name], **values})
    seal_files(folder, [Path(file.name).name])


def right_pairs(model: Any, tokenizer: Any, folder: str) -> dict[str, list[bool]]:
    """Return for each file of minimal pairs whether the model is right in each pair, in the file's order.

    The task is lm-eval's blimp: the summed log-likelihood of each sentence, without a prompt. evaluation/blimp.py prepared the folder;
    nothing is downloaded here.
    """
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


@torch.inference_mode()
def lens(model: Any, tokenizer: Any, prompts: list[str]) -> list[dict[str, Any]]:
    """Return, for each prompt, its last tokens, and after each layer (embeddings first) the most likely next token with its probability.

    Logit lens (nostalgebraist 2020): the hidden state after each layer goes through the model's final normalisation and what follows it:
    its head, and the scaling or the cap that some models have after it. For the last layer, the result is the model's own prediction.
    """
    found = []
    for prompt in prompts:
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"].to(model.device)
        own = model(input_ids=ids, output_hidden_states=True)
        earlier = _logits_of(model, ids, torch.cat(own.hidden_states[:-1]))
        layers = []
        for logits in (*earlier, own.logits[0]):
            best = logits[-POSITIONS:].float().softmax(-1).max(-1)
            texts = [tokenizer.decode([token], clean_up_tokenization_spaces=False) for token in best.indices.tolist()]
            layers.append([{"token": token, "p": round(p, 4)} for token, p in zip(texts, best.values.tolist(), strict=True)])
        tokens = [tokenizer.decode([token], clean_up_tokenization_spaces=False) for token in ids[0, -POSITIONS:].tolist()]
        found.append({"prompt": prompt, "tokens": tokens, "layers": layers})
    return found


def _logits_of(model: Any, ids: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """Return the logits (layers, positions, words) that the model makes of hidden states (layers, positions, width) of these ids (1,
    positions): its final normalisation gets them in place of its own."""
    hook = last_norm(model).register_forward_pre_hook(lambda module, inputs: (states, *inputs[1:]))
    try:
        return model(input_ids=ids.expand(len(states), -1)).logits
    finally:
        hook.remove()


def last_norm(model: Any) -> Any:
    """Return the normalisation after the last layer, also below an adapter: the last one that is in none of the numbered layers."""
    inner = unwrapped(model)
    decoder = getattr(inner, inner.base_model_prefix, inner)
    norms = [module for name, module in decoder.named_modules() if "norm" in type(module).__name__.lower() and not re.search(r"\d", name)]
    if not norms:
        raise ValueError(f"{type(decoder).__name__} has no normalisation after its layers")
    return norms[-1]


if __name__ == "__main__":
    with refusing(Progress()):
        main()
