"""Merge the adapter into its base model, in a separate process: python -m recipekit.runner.worker.merge (in the run directory)

The caller publishes the folder that it writes to. The base is loaded in its own precision (fp32 without a GPU: a CPU is slow in bf16),
never in 4 bits. The written folder is loaded again, and must answer like base and adapter: the logits for the same rows are compared.
"""

from pathlib import Path
from typing import Any

import torch

from ...schemas.base.errors import UserError
from ..models.reference import ModelReference
from ..models.size import model_size
from ..runtime.progress import Progress, refusing
from ..runtime.run_files import MERGE_REQUEST, MERGE_RESULT, TRAIN_ROWS, MergeResult
from ..runtime.run_folder import RunFolder
from .loading import Head, LoadedModel, load, reference_of
from .saved_settings import stop_at
from .tokenization import load as load_config
from .tokenization import tokenise

ROWS, TOKENS = 4, 256  # compared: a wrong weight changes every position
ROOM = 0.8  # of the GPU's free memory that weights may take
# Merging rounds W + BA once to the weights' precision. The relative effect on the logits was measured as 1e-6 in fp32; bf16 has 8 bits, so
# one rounding is 4e-3, and a few dozen layers stay well within this.
LARGEST = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}


def main() -> None:
    """Merge as merge_request.json asks: the folder to write to, and the rendered configuration.

    Raises UserError if the merged model does not answer like base and adapter.
    """
    request = RunFolder(Path()).read(MERGE_REQUEST)
    cfg, tokenizer = load_config(request["config"])
    device = device_of(cfg)
    tuned = load_tuned(cfg, device)
    dtype = next(tuned.model.parameters()).dtype
    probes = probe_ids(cfg, tokenizer)
    before = answers(tuned.model, probes)
    folder = Path(request["folder"])
    merged = tuned.merged()
    stop_at(merged.model, merged.stop_ids)
    merged.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    del tuned, merged
    whole = reference_of(cfg)._replace(base=str(folder), adapter="", tokenizer=str(folder), revision=None)
    found = largest_difference(before, answers(load_stored(whole, head_of(cfg), device).model, probes))
    if not found <= LARGEST[dtype]:
        raise UserError(f"the merged model does not answer like base and adapter: its logits differ by {found:.2g} of their size")
    result = MergeResult(
        base_model=cfg.base_model, dtype=str(dtype).removeprefix("torch."), largest_difference=found, rows_compared=len(probes)
    )
    RunFolder(folder).write(MERGE_RESULT, result)


def device_of(cfg: Any) -> str:
    """Return the GPU if the weights fit there in the type that they are stored in: on most CPUs, bf16 takes minutes."""
    size = model_size(cfg.base_model, cfg.revision_of_model)
    if not torch.cuda.is_available() or size is None:
        return "cpu"
    weights = stored_type(cfg.base_model, cfg.revision_of_model).itemsize * size.parameters
    return "cuda" if weights < ROOM * torch.cuda.mem_get_info()[0] else "cpu"


def stored_type(base_model: str, revision: str | None) -> torch.dtype:
    """Return the type that a model's config.json names; fp32, the widest, if it names none."""
    from transformers import PretrainedConfig

    config, _ = PretrainedConfig.get_config_dict(base_model, revision=revision or "main")
    found = getattr(torch, str(config.get("dtype") or config.get("torch_dtype")), None)
    return found if isinstance(found, torch.dtype) else torch.float32


def load_tuned(cfg: Any, device: str = "cpu") -> LoadedModel:
    """Load the base with its adapter."""
    return load_stored(reference_of(cfg), head_of(cfg), device)


def load_stored(reference: ModelReference, head: Head, device: str) -> LoadedModel:
    """Load a model in the type that it is stored in if the machine is fast with it."""
    dtype: Any = "auto" if torch.cuda.is_available() else torch.float32
    return load(reference, head, device=device, dtype=dtype, bits=0)


def head_of(cfg: Any) -> Head:
    """Return the head of the run's model."""
    return "classification" if cfg.record_type == "classification" else "causal"


def probe_ids(cfg: Any, tokenizer: Any) -> list[list[int]]:
    """Return a few of the run's own rows."""
    path = Path(TRAIN_ROWS)
    head = Path("merge_rows.jsonl")
    head.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:ROWS]))
    try:
        return [row["input_ids"][:TOKENS] for row in tokenise(cfg, tokenizer, head)]
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
    with refusing(Progress()):
        main()
