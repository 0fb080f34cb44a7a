"""The loss of chats and texts: every trained token of a step weighs the same, however the step is cut into micro-batches.

Stock Axolotl 0.19 leaves this to the model only where its forward pass names `num_items_in_batch`, which none does; every micro-batch then
counts the same, so that a token of a short one counts more: a first step over the same 8 rows has a loss of 5.951 as 1 x 8 and of 5.935 as
4 x 2 (the mean over all its tokens, and the mean of four such means).
"""

import inspect
from typing import Any

import torch
from torch.nn.functional import cross_entropy, pad

from .labels import IGNORED


def token_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
    """Cross entropy over labels (batch, positions) that stand where their logits (batch, positions, words) do, in fp32.

    The sum divided by the trained tokens of the whole step; by those of this batch where the step's are not known.
    """
    logits = outputs.logits.float()
    total = cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
    trained = (labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
    return total / max(trained, 1)


def shift_labels(labels: torch.Tensor, selects: bool) -> dict[str, torch.Tensor]:
    """What the model is given in the place of labels: each moved to the position that predicts it, and those positions alone.

    A chat trains its last reply: the logits of everything before it are not needed, and they are the largest tensor of all.
    Without `selects` (a model that cannot choose positions) the labels keep their length.
    """
    following = labels[:, 1:]
    if not selects:
        return {"labels": pad(following, (0, 1), value=IGNORED)}
    positions = (following != IGNORED).any(dim=0).nonzero().squeeze(1)
    if not len(positions):
        positions = positions.new_zeros(1)
    return {"labels": following[:, positions], "logits_to_keep": positions}


def set_up_trainer(cfg: Any, trainer: Any) -> None:
    """Give the trainer this loss; where a plugin of Axolotl's or the model itself has another, only the right count of tokens."""
    if len(cfg.plugins) > 1 or getattr(trainer.model.config, "output_router_logits", False):  # fused losses; experts' balance
        trainer.model_accepts_loss_kwargs = True
        return
    if trainer.compute_loss_func or trainer.label_smoother or (cfg.context_parallel_size or 1) > 1:
        return
    trainer.compute_loss_func = token_loss
    trainer._loss_shifts_labels = True
    selects = trainer.args.n_gpu <= 1 and can_choose_positions(trainer.model)
    compute = trainer.compute_loss

    def compute_loss(model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        return compute(model, {**inputs, **shift_labels(inputs["labels"], selects)}, *args, **kwargs)

    trainer.compute_loss = compute_loss


def can_choose_positions(model: Any) -> bool:
    """Whether the model computes logits at given positions only."""
    base = getattr(model, "get_base_model", lambda: model)()
    return "logits_to_keep" in inspect.signature(base.forward).parameters
