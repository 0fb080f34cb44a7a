"""The validation loss of chats and texts: the mean over all their trained tokens, as the perplexity of the evaluation.

transformers takes the mean over batches of each batch's own mean: it depends on how many rows share a batch, and on which
(https://github.com/huggingface/transformers/issues/39241).
"""

from typing import Any

from .distributed import all_reduce_sum
from .labels import IGNORED


def set_up_trainer(trainer: Any) -> None:
    """Let the trainer sum the losses of a validation's tokens. What computes the loss of a batch is set up before."""
    compute, evaluate = trainer.compute_loss, trainer.evaluation_loop
    found = {"loss": 0.0, "tokens": 0}

    def summed(model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        tokens = 0 if model.training else int((inputs["labels"][:, 1:] != IGNORED).sum())
        result = compute(model, inputs, *args, **kwargs)
        if tokens:
            found["loss"] += tokens * float(result[0] if isinstance(result, tuple) else result)
            found["tokens"] += tokens
        return result

    def over_tokens(*args: Any, **kwargs: Any) -> Any:
        found.update(loss=0.0, tokens=0)
        output = evaluate(*args, **kwargs)
        loss, tokens = (all_reduce_sum(found[part], trainer.args.device) for part in ("loss", "tokens"))
        if tokens:
            output.metrics["eval_loss"] = loss / tokens
        return output

    trainer.compute_loss, trainer.evaluation_loop = summed, over_tokens
