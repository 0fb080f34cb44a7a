"""Read the loss curves of a training from metrics.jsonl: the losses that gates limit, and a diagnosis in words.

The thresholds and the advice are from the EmoGPT guide: training loss below 1.0 at the end, "stuck" above 2.0, overfitting if training loss
falls while validation loss rises.
"""

import math
from typing import Any, NamedTuple, TypeGuard

from ...schemas.base.counted import counted
from ..runtime.progress import loss_text

STUCK_ABOVE = 2.0
OVERFIT_ADVICE = "stop earlier (training.early_stopping_patience), raise training.lora_dropout, lower training.lora_r"
STUCK_ADVICE = "raise training.learning_rate, or train longer (training.num_epochs, or training.max_steps)"
DIVERGED_ADVICE = "lower training.learning_rate, raise training.warmup_ratio, lower training.max_grad_norm"
LOSSES = ("loss", "eval_loss")
DIVERGED = 2  # times the first loss
MAX_LOSS = 700  # above it, exp overflows
FALL = 0.05  # as a share: smaller changes of a loss count as noise


class Diagnosis(NamedTuple):
    """`state` is learning, overfitting, stuck, diverged or too_short; `sentence` gives the reason with numbers, and the guide's advice."""

    state: str
    sentence: str


def losses(lines: list[dict[str, Any]]) -> dict[str, float | None]:
    """Return train_loss, the mean over the last epoch's logged steps, and validation_loss, the last and the lowest measured after a
    step."""
    train, validation = _series(lines, "loss"), [point for point in _series(lines, "eval_loss") if point[0] > 0]
    last_epoch = [value for _, value, epoch in train if epoch is None or epoch > train[-1][2] - 1]
    return {
        "train_loss": sum(last_epoch) / len(last_epoch) if last_epoch else None,
        "validation_loss": validation[-1][1] if validation else None,
        "best_validation_loss": min(value for _, value, _ in validation) if validation else None,
    }


def kept_evaluation(lines: list[dict[str, Any]], best_by: str | None) -> dict[str, Any]:
    """Return the last validation of the kept weights: of the best by the metric that chose them, or else the last; {} if there is none.

    A validation before the first step does not count.
    """
    evaluated = [line for line in lines if "eval_loss" in line and line["step"] > 0]
    if best_by:
        key = f"eval_{best_by.removeprefix('eval_')}"
        measured = [line for line in evaluated if is_number(line.get(key))]
        evaluated = [(min if "loss" in key else max)(measured, key=lambda line: line[key])] if measured else []
    return evaluated[-1] if evaluated else {}


def kept_loss(lines: list[dict[str, Any]], best_by: str | None) -> float | None:
    """Return the validation loss of the kept weights; None if that evaluation has no finite number."""
    kept = kept_evaluation(lines, best_by).get("eval_loss")
    return float(kept) if is_number(kept) else None


def validation_scores(kept: dict[str, Any]) -> dict[str, float]:
    """Return the trainer's validation as metrics of the evaluation: accuracy and macro-F1 of labels, else perplexity.

    The perplexity is that of the logged loss, a mean over the trained tokens.
    """
    of_labels = (("accuracy", "eval_accuracy"), ("macro-F1", "eval_macro_f1"))
    scores = {name: float(kept[key]) for name, key in of_labels if is_number(kept.get(key))}
    if not scores and is_number(loss := kept.get("eval_loss")) and loss < MAX_LOSS:
        return {"perplexity": math.exp(loss)}
    return scores


def is_number(value: Any) -> TypeGuard[float]:
    """Return whether the loss is a number: one that is not finite is written as text."""
    return isinstance(value, int | float)


def diagnosis(lines: list[dict[str, Any]], of_texts: bool = False) -> Diagnosis:
    """Diagnose whether the training overfits, is stuck or learns. `of_texts`: plain texts have no loss that must be reached, and a model
    that has read similar ones gains little."""
    train, validation = _series(lines, "loss"), _series(lines, "eval_loss")
    if len(train) < 4:
        return Diagnosis("too_short", f"{counted(len(train), 'logged step', 'are')} too few for a diagnosis.")
    number = max(len(train) // 4, 1)
    start, end = _mean(train[:number]), _mean(train[-number:])
    of = f" (means of the first and the last {number} logged steps)" if number > 1 else ""
    went = f"went from {loss_text(start)} to {loss_text(end)}{of}"
    broken = next((f"{key} at step {line['step']}" for line in lines for key in LOSSES if isinstance(line.get(key), str)), "")
    if broken or (end > STUCK_ABOVE and end > DIVERGED * train[0][1]):
        what = f"training loss went from {loss_text(train[0][1])} to {loss_text(end)}" + (f", and {broken} is not finite" if broken else "")
        return Diagnosis("diverged", f"Diverged: {what}. Advice: {DIVERGED_ADVICE}.")
    if len(validation) > 1:
        step, lowest, _ = min(validation, key=lambda point: point[1])
        last = validation[-1][1]
        after = [value for at, value, _ in train if at > step]
        before = [value for at, value, _ in train if at <= step][-len(after) :]
        fell = bool(before and after) and sum(after) / len(after) < sum(before) / len(before)
        if last > lowest * (1 + FALL) and fell:
            sentence = (
                f"Overfitting: validation loss was lowest at step {step} ({loss_text(lowest)}) and ended at {loss_text(last)},"
                f" while training loss kept falling. Advice: {OVERFIT_ADVICE}."
            )
            return Diagnosis("overfitting", sentence)
    if of_texts:
        return Diagnosis("learning", f"Training loss {went}; no overfitting seen.")
    still = not validation or min(value for _, value, _ in validation) > validation[0][1] * (1 - FALL)
    if end > STUCK_ABOVE and end > start * (1 - FALL) and still:
        return Diagnosis("stuck", f"Stuck: training loss {went}. Advice: {STUCK_ADVICE}.")
    if end > STUCK_ABOVE:
        sentence = f"Training loss {went}, still above {STUCK_ABOVE}. Advice: {STUCK_ADVICE}."
        return Diagnosis("learning", sentence)
    return Diagnosis("learning", f"Training loss {went}; no overfitting seen.")


Point = tuple[int, float, Any]


def _series(lines: list[dict[str, Any]], key: str) -> list[Point]:
    return [(line["step"], float(line[key]), line.get("epoch")) for line in lines if is_number(line.get(key))]


def _mean(points: list[Point]) -> float:
    return sum(value for _, value, _ in points) / len(points)
