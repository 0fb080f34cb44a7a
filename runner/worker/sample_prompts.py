"""Answer the sample prompts (evaluation.prompts) with replies or labels, as `recipe predict` does."""

from collections.abc import Callable
from typing import Any

from .generation import in_memory
from .loading import LoadedModel, load, reference_of
from .packing import document_ids
from .predict import labels_of, replies_to, text_row
from .tokenization import RefusedMessages, prompt_ids

LABELLED = 8  # texts per batch
Rows = list[dict[str, Any]]


def answers(loaded: LoadedModel, tokenizer: Any, asked: dict[str, Any]) -> Rows:
    """Return a reply to each prompt. Each prompt has its own seed: its reply does not depend on the others."""
    settings = asked["generation"]
    rows = [{"id": str(number), **_prompt(text, tokenizer, asked)} for number, text in enumerate(asked["texts"], 1)]
    return _answered(asked["texts"], rows, settings["batch_size"], lambda batch: replies_to(loaded, batch, settings))


def labels(cfg: Any, asked: dict[str, Any], bits: int) -> Rows:
    """Return the trained classifier's label for each prompt, with every label's probability."""
    loaded, settings = load(reference_of(cfg), "classification", bits=bits), {"sequence_len": cfg.sequence_len}
    given = [{"id": str(number), "fields": {"text": text}} for number, text in enumerate(asked["texts"], 1)]
    rows = [text_row(loaded, row, settings) for row in given]
    return _answered(asked["texts"], rows, LABELLED, lambda batch: labels_of(loaded, batch, settings))


def _prompt(text: str, tokenizer: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Return the tokens that the model continues: as in training, up to the reply or within the document."""
    if asked["type"] == "text":
        return {"ids": document_ids(text, tokenizer)[:-1]}
    system = [{"role": "system", "content": asked["system"]}] if asked["system"] else []
    try:
        return {"ids": prompt_ids(tokenizer, [*system, {"role": "user", "content": text}])}
    except RefusedMessages as error:
        return {"ids": [], "error": str(error)}


def _answered(texts: list[str], rows: Rows, size: int, answer: Callable[[Rows], Rows]) -> Rows:
    """Return the answers, computed in batches, with their prompts."""
    found = [one for start in range(0, len(rows), size) for one in in_memory(answer, rows[start : start + size])]
    return [{"prompt": text, **one} for text, one in zip(texts, found, strict=True)]
