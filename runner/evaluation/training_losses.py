"""What the loss curves of a training say: the losses that gates limit, and a diagnosis in words, from metrics.jsonl.

The thresholds and the advice are those of the EmoGPT guide: training loss below 1.0 at the end, "stuck" above 2.0, overfitting when
training loss falls while validation loss rises.
"""

import math
from typing import Any, NamedTuple, TypeGuard

STUCK_ABOVE = 2.0
OVERFIT_ADVICE = "stop earlier (training.early_stopping_patience), raise training.lora_dropout, lower training.lora_r"
STUCK_ADVICE = "raise training.learning_rate or training.num_epochs"
DIVERGED_ADVICE = "lower training.learning_rate, raise training.warmup_ratio, lower training.max_grad_norm"
LOSSES = ("loss", "eval_loss")
DIVERGED = 2  # times the first loss
MAX_LOSS = 700  # e to it is still a number
FALL = 0.05  # a share: smaller changes of a loss are taken for noise


class Diagnosis(NamedTuple):
    """`state` is learning, overfitting, stuck, diverged or too_short; `sentence` says why, with numbers, and what the guide advises."""

    state: str
    sentence: str


def losses(lines: list[dict[str, Any]]) -> dict[str, float | None]:
    """train_loss, the mean over the last epoch's logged steps; validation_loss, the last and the lowest one measured after a step."""
    train, validation = _series(lines, "loss"), [point for point in _series(lines, "eval_loss") if point[0] > 0]
    last_epoch = [value for _, value, epoch in train if epoch is None or epoch > train[-1][2] - 1]
    return {
        "train_loss": sum(last_epoch) / len(last_epoch) if last_epoch else None,
        "validation_loss": validation[-1][1] if validation else None,
        "best_validation_loss": min(value for _, value, _ in validation) if validation else None,
    }


def kept_evaluation(lines: list[dict[str, Any]], best_by: str | None) -> dict[str, Any]:
    """The last validation of the weights that were kept: of the best by the metric that chose them at the end, else of the last; {} for
    none. What was measured before the first step is of no weights that were trained.
    """
    evaluated = [line for line in lines if "eval_loss" in line and line["step"] > 0]
    if best_by:
        key = f"eval_{best_by.removeprefix('eval_')}"
        measured = [line for line in evaluated if is_number(line.get(key))]
        evaluated = [(min if "loss" in key else max)(measured, key=lambda line: line[key])] if measured else []
    return evaluated[-1] if evaluated else {}


def kept_loss(lines: list[dict[str, Any]], best_by: str | None) -> float | None:
    """The validation loss of the weights that were kept; None where that evaluation found no finite number."""
    kept = kept_evaluation(lines, best_by).get("eval_loss")
    return float(kept) if is_number(kept) else None


def validation_scores(kept: dict[str, Any]) -> dict[str, float]:
    """What the trainer's validation says in the words of the evaluation's metrics: accuracy and macro-F1 of labels, else perplexity.

    Perplexity is that of the logged loss, the mean over batches.
    """
    of_labels = (("accuracy", "eval_accuracy"), ("macro F1", "eval_macro_f1"))
    scores = {name: float(kept[key]) for name, key in of_labels if is_number(kept.get(key))}
    if not scores and is_number(loss := kept.get("eval_loss")) and loss < MAX_LOSS:
        return {"perplexity": math.exp(loss)}
    return scores


def is_number(value: Any) -> TypeGuard[float]:
    """A loss that was not finite is written as text."""
    return isinstance(value, int | float)


def diagnosis(lines: list[dict[str, Any]]) -> Diagnosis:
    """Whether the training overfits, is stuck or learns."""
    train, validation = _series(lines, "loss"), _series(lines, "eval_loss")
    if len(train) < 4:
        return Diagnosis("too_short", f"{len(train)} logged steps are too few to tell how training went.")
    start, end = _mean(train[: max(len(train) // 4, 1)]), _mean(train[-max(len(train) // 4, 1) :])
    broken = next((f"{key} at step {line['step']}" for line in lines for key in LOSSES if isinstance(line.get(key), str)), "")
    if broken or (end > STUCK_ABOVE and end > DIVERGED * train[0][1]):
        what = f"training loss went from {train[0][1]:.3f} to {end:.3f}" + (f", and {broken} is no finite number" if broken else "")
        return Diagnosis("diverged", f"Diverged: {what}. Advice: {DIVERGED_ADVICE}.")
    if len(validation) > 1:
        step, lowest, _ = min(validation, key=lambda point: point[1])
        last = validation[-1][1]
        after = [value for at, value, _ in train if at > step]
        before = [value for at, value, _ in train if at <= step][-len(after) :]
        fell = bool(before and after) and sum(after) / len(after) < sum(before) / len(before)
        if last > lowest * (1 + FALL) and fell:
            sentence = (
                f"Overfitting: validation loss was lowest at step {step} ({lowest:.3f}) and ended at {last:.3f},"
                f" while training loss fell on. Advice: {OVERFIT_ADVICE}."
            )
            return Diagnosis("overfitting", sentence)
    still = not validation or min(value for _, value, _ in validation) > validation[0][1] * (1 - FALL)
    if end > STUCK_ABOVE and end > start * (1 - FALL) and still:
        return Diagnosis("stuck", f"Stuck: training loss went from {start:.3f} to {end:.3f}. Advice: {STUCK_ADVICE}.")
    if end > STUCK_ABOVE:
        sentence = f"Training loss went from {start:.3f} to {end:.3f}, still above {STUCK_ABOVE}. Advice: {STUCK_ADVICE}."
        return Diagnosis("learning", sentence)
    return Diagnosis("learning", f"Training loss went from {start:.3f} to {end:.3f}; no overfitting seen.")


Point = tuple[int, float, Any]


def _series(lines: list[dict[str, Any]], key: str) -> list[Point]:
    return [(line["step"], float(line[key]), line.get("epoch")) for line in lines if is_number(line.get(key))]


def _mean(points: list[Point]) -> float:
    return sum(value for _, value, _ in points) / len(points)
