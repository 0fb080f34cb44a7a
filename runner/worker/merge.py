"""Merge the adapter into its base model, in a separate process: python -m recipekit.runner.worker.merge (in the run directory)

The caller publishes the folder that it writes to. The base is loaded in its own precision (fp32 on a CPU, where bf16 is slow), never in 4
bits. The written folder is loaded again, and must answer like base and adapter: the logits for the same rows are compared.
"""

from pathlib import Path
from typing import Any

import torch

from ...schemas.base.errors import UserError
from ..runtime.progress import Progress, refusing
from ..runtime.run_files import MERGE_REQUEST, MERGE_RESULT, MergeResult
from ..runtime.run_folder import RunFolder
from .loading import Head, LoadedModel, load, reference_of
from .tokenization import load as load_config
from .tokenization import tokenise

ROWS = 4
# Merging rounds W + BA once to the weights' precision. The relative effect on the logits was measured as 1e-6 in fp32; bf16 has 8 bits, so
# one rounding is 4e-3, and a few dozen layers stay well within this.
LARGEST = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}


def main() -> None:
    """Merge as merge_request.json asks: the folder to write to, and the rendered configuration.

    Raises UserError if the merged model does not answer like base and adapter.
    """
    request = RunFolder(Path()).read(MERGE_REQUEST)
    cfg, tokenizer = load_config(request["config"])
    tuned = load_tuned(cfg)
    dtype = next(tuned.model.parameters()).dtype
    probes = probe_ids(cfg, tokenizer)
    before = answers(tuned.model, probes)
    folder = Path(request["folder"])
    tuned.merged().model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    del tuned
    whole = reference_of(cfg)._replace(base=str(folder), adapter="", tokenizer=str(folder), revision=None)
    found = largest_difference(before, answers(load(whole, head_of(cfg), device="cpu", dtype=dtype).model, probes))
    if not found <= LARGEST[dtype]:
        what = f"the merged model does not answer like base and adapter: its logits differ by {found:.2g} of their size"
        raise UserError(what)
    result = MergeResult(
        base_model=cfg.base_model, dtype=str(dtype).removeprefix("torch."), largest_difference=found, rows_compared=len(probes)
    )
    RunFolder(folder).write(MERGE_RESULT, result)


def load_tuned(cfg: Any) -> LoadedModel:
    """Load the base with its adapter, in the base's own precision if the machine is fast with it."""
    dtype: Any = "auto" if torch.cuda.is_available() else torch.float32
    return load(reference_of(cfg), head_of(cfg), device="cpu", dtype=dtype)


def head_of(cfg: Any) -> Head:
    """Return the head of the run's model."""
    return "classification" if cfg.record_type == "classification" else "causal"


def probe_ids(cfg: Any, tokenizer: Any) -> list[list[int]]:
    """Return a few of the run's own rows."""
    path = Path("data/train.jsonl")
    head = Path("merge_rows.jsonl")
    head.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:ROWS]))
    try:
        return [row["input_ids"][: cfg.sequence_len] for row in tokenise(cfg, tokenizer, head)]
    finally:
        head.unlink()


@torch.inference_mode()
def answers(model: Any, probes: list[list[int]]) -> list[torch.Tensor]:
    """Return the logits for each row."""
    return [model(input_ids=torch.tensor([ids], device=model.device)).logits.float().cpu() for ids in probes]


def largest_difference(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    """Return the largest change of a logit, as a share of the largest logit of its row."""
    return float(torch.stack([(a - b).abs().max() / a.abs().max() for a, b in zip(one, other, strict=True)]).max())  # NaN stays NaN


if __name__ == "__main__":
    with refusing(Progress(Path("progress.jsonl"))):
        main()
