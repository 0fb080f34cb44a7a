"""The adapter merged into its base model, in a process of its own: python -m recipekit.runner.worker.merge (in the run directory)

Its caller publishes the folder that it writes into.

The base is loaded in its own precision (fp32 on a CPU, where bf16 is slow), never in 4 bits. Before anything is written, the merged model
must answer as base and adapter do: the same rows through both, the logits compared.
"""

import json
from pathlib import Path
from typing import Any

import torch

from ..runtime.progress import Progress
from .evaluate_classification import load_classifier
from .tokenization import load, tokenise

FACTS = "merge.json"
ROWS = 4
# Merging rounds W + BA once to the weights' precision. What that moves the logits by, against their own size: measured 1e-6 in fp32;
# bf16 has 8 bits, so that one rounding is 4e-3 and a few dozen layers of them stay well within this.
LARGEST = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}


def main() -> None:
    """Merge as the run's merge.json says: base_model, revision, trust_remote_code; the folder to write into; the rendered config."""
    request = json.loads(Path(FACTS).read_text(encoding="utf-8"))
    cfg, tokenizer = load(request["config"])
    tuned = load_tuned(request, cfg, tokenizer)
    probes = probe_ids(cfg, tokenizer)
    before = answers(tuned, probes)
    merged = tuned.merge_and_unload()
    dtype = next(merged.parameters()).dtype
    found = largest_difference(before, answers(merged, probes))
    if not found <= LARGEST[dtype]:
        what = f"the merged model does not answer as base and adapter do: its logits differ by {found:.2g} of their size"
        Progress(Path("progress.jsonl")).event("refused", what=what)
        raise SystemExit(1)
    folder = Path(request["folder"])
    merged.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    facts = {"base_model": request["base_model"], "dtype": str(dtype).removeprefix("torch."), "largest_difference": found,
             "rows_compared": len(probes)}  # fmt: skip
    (folder / FACTS).write_text(json.dumps(facts, indent=2), encoding="utf-8")


def load_tuned(request: dict[str, Any], cfg: Any, tokenizer: Any) -> Any:
    """Base with the adapter on it."""
    if cfg.record_type == "classification":
        model = load_classifier({**request, "adapter": True}, list(cfg.labels), tokenizer, "cpu")
        model.config.id2label = dict(enumerate(cfg.labels))
        model.config.label2id = {label: number for number, label in enumerate(cfg.labels)}
        return model
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    dtype: Any = "auto" if torch.cuda.is_available() else torch.float32
    options = {"dtype": dtype, "trust_remote_code": request["trust_remote_code"], "revision": request["revision"]}
    base: Any = AutoModelForCausalLM.from_pretrained(request["base_model"], **options)
    rows = len(tokenizer)
    if rows > base.get_input_embeddings().num_embeddings:  # training added tokens
        base.resize_token_embeddings(rows)
    return PeftModel.from_pretrained(base, "model").eval()


def probe_ids(cfg: Any, tokenizer: Any) -> list[list[int]]:
    """A few of the run's own rows."""
    path = Path("data/train.jsonl")
    head = Path("merge_rows.jsonl")
    head.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:ROWS]))
    try:
        return [row["input_ids"][: cfg.sequence_len] for row in tokenise(cfg, tokenizer, head)]
    finally:
        head.unlink()


@torch.inference_mode()
def answers(model: Any, probes: list[list[int]]) -> list[torch.Tensor]:
    """The logits for each row."""
    return [model(input_ids=torch.tensor([ids], device=model.device)).logits.float().cpu() for ids in probes]


def largest_difference(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    """The largest change of a logit, as a share of the largest logit of its row."""
    return float(torch.stack([(a - b).abs().max() / a.abs().max() for a, b in zip(one, other, strict=True)]).max())  # NaN stays NaN


if __name__ == "__main__":
    main()
