"""Sequence classification inside Axolotl: the head, its labels, the loss with class weights, the scores of each evaluation."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from transformers import DataCollatorWithPadding

from ..evaluation.classification_scores import training_scores

HEADS = ("score", "classifier")
Loss = Callable[..., torch.Tensor]


def prepare_head(cfg: Any, model: Any) -> None:
    """Name the labels in the configuration that is saved, and draw the head's first weights where the base model has no head.

    transformers 5 draws a 16-bit head on a copy in fp32 and so leaves the head itself as the memory was; nobody could repeat that.
    """
    trained_before = any("SequenceClassification" in name for name in model.config.architectures or ())
    same_labels = list(model.config.id2label.values()) == list(cfg.labels)
    model.config.id2label = dict(enumerate(cfg.labels))
    model.config.label2id = {label: number for number, label in enumerate(cfg.labels)}
    model.config.problem_type = "single_label_classification"
    head = next((head for name in HEADS if isinstance(head := getattr(model, name, None), torch.nn.Linear)), None)
    if head is None or trained_before and same_labels:
        return
    deviation = getattr(model.config, "initializer_range", None) or 0.02
    with torch.no_grad():
        drawn = torch.normal(0.0, deviation, head.weight.shape, generator=torch.Generator().manual_seed(cfg.seed))
        head.weight.copy_(drawn)
        if head.bias is not None:
            head.bias.zero_()


def set_padding(model: Any, tokenizer: Any) -> None:
    """The model finds a row's last token by the id of the padding, which must be the tokenizer's."""
    model.config.get_text_config().pad_token_id = model.config.pad_token_id = tokenizer.pad_token_id


def collator(tokenizer: Any, pad_to_multiple_of: int | None) -> tuple[type, dict[str, Any]]:
    """Pad on the right to the longest row of the batch."""
    tokenizer.padding_side = "right"
    return DataCollatorWithPadding, {"padding": True, "pad_to_multiple_of": pad_to_multiple_of}


def class_weights(wanted: Any, labels: list[str], found: list[int]) -> list[float] | None:
    """A weight for each label, in their order. `balanced` is rows / (labels * rows of the label), whose mean over the rows is 1."""
    if wanted is None:
        return None
    if wanted == "balanced":
        counts = Counter(found)
        return [len(found) / (len(labels) * counts[number]) for number in range(len(labels))]
    return [float(wanted[label]) for label in labels]


def row_loss(weights: list[float] | None) -> Loss:
    """Cross entropy for a trainer's `compute_loss_func`: the weighted sum over the rows, divided by the rows of the whole step.

    The models' own loss takes the mean of each micro-batch, and transformers does not divide it by the accumulation steps.
    """
    tensor = torch.tensor(weights) if weights else None

    def loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        logits = outputs.logits.float()
        weight = tensor.to(logits.device) if tensor is not None else None
        total = torch.nn.functional.cross_entropy(logits, labels, weight=weight, reduction="sum")
        return total / (len(labels) if num_items_in_batch is None else num_items_in_batch)

    return loss


def set_up_trainer(cfg: Any, trainer: Any) -> None:
    """Give the trainer our loss and our scores."""
    found = list(trainer.train_dataset["labels"])
    trainer.compute_loss_func = row_loss(class_weights(cfg.class_weights, cfg.labels, found))
    trainer.compute_metrics = lambda prediction: training_scores(prediction.predictions, prediction.label_ids, cfg.labels)
