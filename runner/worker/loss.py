"""The loss for chats and texts: every trained token of a step has the same weight, however the step is split into micro-batches and over
processes.

Axolotl 0.19 leaves this to the model only if its forward pass takes `num_items_in_batch`, which none does; otherwise every micro-batch has
the same weight, so that a token in a short one counts more: a first step over the same 8 rows has a loss of 5.951 as 1 x 8 and of 5.935 as
4 x 2 (the mean over all its tokens, and the mean of four such means).

Logits are computed only for the (row, position) pairs whose next token is trained: a chat usually trains only its last reply.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.nn.functional import pad

from .distributed import all_reduce_sum, world_size
from .head_loss import head_loss, logits_loss
from .labels import IGNORED


class Pairs(NamedTuple):
    """The positions of a batch whose next token is trained: row, position and that token for each."""

    rows: torch.Tensor
    positions: torch.Tensor
    labels: torch.Tensor


def trained_pairs(labels: torch.Tensor) -> Pairs:
    """Find the pairs in unshifted labels (batch, positions)."""
    following = labels[:, 1:]
    rows, positions = (following != IGNORED).nonzero(as_tuple=True)
    return Pairs(rows, positions, following[rows, positions])


class PairHead:
    """A model's head that, while `pairs` are set, sees only their hidden states. It returns their logits (1, pairs, words) or, if
    `fused` with the loss, the sum of their losses in place of logits."""

    def __init__(self, head: Any, fused: bool) -> None:
        self.head, self.fused, self.all_positions = head, fused, head.forward
        self.pairs: Pairs | None = None
        # Compiled with the model, each number of pairs would be another graph, and after eight nothing would be compiled any more.
        head.forward = torch.compiler.disable(self.forward)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Replace the head's own forward pass."""
        if self.pairs is None:
            return self.all_positions(hidden)
        chosen = hidden.flatten(0, 1).index_select(0, self.pairs.rows * hidden.shape[1] + self.pairs.positions)
        if self.fused:
            return head_loss(chosen, self.head.weight, self.head.bias, self.pairs.labels).view(1, 1, 1)
        return self.all_positions(chosen[None])

    def wrap(self, compute_loss: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a trainer's compute_loss to use only the pairs of the batch."""

        def over_pairs(model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            self.pairs = trained_pairs(inputs["labels"])
            try:
                return compute_loss(model, {**inputs, "labels": self.pairs.labels[None]}, *args, **kwargs)
            finally:
                self.pairs = None

        return over_pairs

    def loss(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        """Return the loss for a trainer's compute_loss_func: see token_loss."""
        if not self.fused:
            return token_loss(outputs, labels, num_items_in_batch)
        return outputs.logits.sum() / ((labels.numel() if num_items_in_batch is None else num_items_in_batch) or 1)


def token_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
    """Return the cross entropy in fp32 for labels (batch, positions) aligned with their logits (batch, positions, words).

    The sum is divided by the trained tokens of the whole step, or of this batch if the step's are unknown.
    """
    trained = (labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
    return logits_loss(outputs.logits.flatten(0, 1), labels.flatten()) / (trained or 1)


def set_up_trainer(cfg: Any, trainer: Any) -> None:
    """Give the trainer this loss; if the model has another, only the correct token count."""
    if getattr(trainer.model.config, "output_router_logits", False):  # load balancing of experts
        trainer.model_accepts_loss_kwargs = True
        count_in_all_processes(trainer)
        return
    if trainer.compute_loss_func or trainer.label_smoother or (cfg.context_parallel_size or 1) > 1:
        return
    trainer._loss_shifts_labels = True
    count_in_all_processes(trainer)
    if head := head_of(trainer.model):
        is_sharded = bool(cfg.deepspeed or cfg.fsdp_config)  # a sharded weight can only be used by the head itself
        with trainer.accelerator.autocast():  # as in a step: models with weights of several types need it
            is_fused = not is_sharded and head_makes_the_logits(trainer.model, head)
        patched = PairHead(head, fused=is_fused)
        trainer.compute_loss_func, trainer.compute_loss = patched.loss, patched.wrap(trainer.compute_loss)
        return
    trainer.compute_loss_func, compute = token_loss, trainer.compute_loss

    def over_positions(model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        return compute(model, {**inputs, "labels": pad(inputs["labels"][:, 1:], (0, 1), value=IGNORED)}, *args, **kwargs)

    trainer.compute_loss = over_positions


def count_in_all_processes(trainer: Any) -> None:
    """Divide the sums of all processes by the same number: the trained tokens of the whole step, shared out evenly, because the processes
    average their gradients. Divided by its own number, a token in the process with fewer of them would count more.

    Axolotl turns `average_tokens_across_devices` off, which would also change the loss of validation rows.
    """
    if world_size() == 1:
        return
    batches_of_step = trainer.get_batch_samples

    def counted(*args: Any) -> tuple[Any, float | None]:
        batches, tokens = batches_of_step(*args)
        return batches, None if tokens is None else all_reduce_sum(float(tokens), trainer.args.device) / world_size()

    trainer.get_batch_samples = counted


def head_of(model: Any) -> Any:
    """Return the module that computes logits from hidden states, or None."""
    return unwrapped(model).get_output_embeddings()


@torch.no_grad()  # not inference_mode: tensors cached in it could not be used in training
def head_makes_the_logits(model: Any, head: Any) -> bool:
    """Return whether a linear head computes the model's logits, tested on two tokens: some models scale or cap them afterwards."""
    if type(head) is not torch.nn.Linear:
        return False
    seen: list[Any] = []
    hook = head.register_forward_hook(lambda module, inputs, output: seen.append(output))
    was_training = model.training
    model.eval()
    try:
        logits = model(input_ids=torch.tensor([[0, 1]], device=model.device)).logits
    finally:
        hook.remove()
        model.train(was_training)
    return len(seen) == 1 and torch.equal(seen[0].float(), logits.float())


def can_choose_positions(model: Any) -> bool:
    """Return whether the model can compute logits at given positions only."""
    return "logits_to_keep" in inspect.signature(unwrapped(model).forward).parameters


def unwrapped(model: Any) -> Any:
    """Return the model below its adapter."""
    return getattr(model, "get_base_model", lambda: model)()


def sum_validation_tokens(trainer: Any) -> None:
    """Make the validation loss the mean over all trained tokens, as the perplexity of the evaluation. `set_up_trainer` comes before.

    transformers takes the mean over batches of each batch's own mean: it depends on how many rows share a batch, and on which
    (https://github.com/huggingface/transformers/issues/39241).
    """
    compute, predict, evaluate = trainer.compute_loss, trainer.prediction_step, trainer.evaluation_loop
    found = {"loss": 0.0, "tokens": 0}

    def summed(model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        tokens = 0 if model.training else int((inputs["labels"][:, 1:] != IGNORED).sum())
        result = compute(model, inputs, *args, **kwargs)
        if tokens:
            found["loss"] += tokens * float(result[0] if isinstance(result, tuple) else result)
            found["tokens"] += tokens
        return result

    def once(model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        return predict(model, {**inputs, "labels": without_repeated_rows(trainer, inputs["labels"])}, *args, **kwargs)

    def over_tokens(*args: Any, **kwargs: Any) -> Any:
        found.update(loss=0.0, tokens=0)
        output = evaluate(*args, **kwargs)
        loss, tokens = (all_reduce_sum(found[part], trainer.args.device) for part in ("loss", "tokens"))
        if tokens:
            output.metrics["eval_loss"] = loss / tokens
        return output

    trainer.compute_loss, trainer.prediction_step, trainer.evaluation_loop = summed, once, over_tokens


def without_repeated_rows(trainer: Any, labels: torch.Tensor) -> torch.Tensor:
    """Return a validation batch's labels (rows, positions), none in rows that another batch has had: accelerate repeats the first rows of
    a split until the last batches of all processes are full. Rows that share a sequence are validated one at a time (axolotl_config.py)."""
    state, args = trainer.accelerator.gradient_state, trainer.args
    if args.world_size == 1 or not state.end_of_dataloader or state.remainder <= 0:
        return labels
    labels = labels.clone()
    labels[max(state.remainder - args.process_index * args.per_device_eval_batch_size, 0) :] = IGNORED
    return labels
