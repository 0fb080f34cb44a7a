"""Run the probes besides the held-out rows: logit lens, BLiMP, the sentiment of the replies, the replies to sample prompts.

python -m recipekit.runner.worker.probes (in the run directory) reads evaluating/probes_request.json; each probe writes one file to
evaluating/, and is skipped if that file has its key.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..evaluation.probes import PROBES
from ..runtime.progress import Progress, refusing
from ..runtime.run_files import PROBES_REQUEST
from ..runtime.run_folder import RunFolder


def main() -> None:
    """Answer evaluating/probes_request.json."""
    from .evaluate import CONFIG, models
    from .tokenization import load as load_config

    request = RunFolder(Path()).read(PROBES_REQUEST)
    progress = Progress(Path("progress.jsonl"))
    keys, asked = request["keys"], request["asked"]
    cfg, tokenizer = load_config(CONFIG)
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
        from .logit_lens import lens

        return lambda loaded, tokenizer, asked: lens(loaded.model, tokenizer, asked)
    if name == "prompts":
        from .sample_prompts import answers

        return answers
    if name == "sentiment_model":
        from .sentiment_probe import replies_to_prompts

        return replies_to_prompts if asked["prompts"] else None
    from .blimp_probe import right_pairs

    return lambda loaded, tokenizer, asked: right_pairs(loaded.model, tokenizer, asked)


def _write(name: str, keys: dict[str, str], values: dict[str, Any]) -> None:
    RunFolder(Path()).write(PROBES[name].file, {"key": keys[name], **values})


if __name__ == "__main__":
    with refusing(Progress(Path("progress.jsonl"))):
        main()
