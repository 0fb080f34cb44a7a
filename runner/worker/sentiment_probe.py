"""Classify the emotion of every reply, for comparison with that of its prompt: of a file of prompts by emotion, or of a row."""

from pathlib import Path
from typing import Any

from ...schemas.base.errors import UserError
from ..evaluation.sentiment import GROUP_OF
from ..models.reference import ModelReference
from ..runtime.progress import read_lines
from ..runtime.run_files import EVALUATING, PREDICTIONS, ROWS
from .generation import label_probabilities, likeliest
from .loading import LoadedModel, load
from .sample_prompts import answers

Replies = dict[str, list[tuple[str, str | None]]]  # model -> emotion of the prompt, reply
BATCH, LONGEST = 16, 512  # replies per batch, tokens per reply


def prompt_emotions(rows: Path) -> dict[str, str]:
    """Return id -> emotion for rows whose meta has one of the 28; of a list, the first one."""
    found = {}
    for row in read_lines(rows):
        emotion = row.get("meta", {}).get("emotion")
        emotion = emotion[0] if isinstance(emotion, list) and emotion else emotion
        if isinstance(emotion, str) and emotion.strip().lower() in GROUP_OF:
            found[row["id"]] = emotion.strip().lower()
    return found


def replies_to_rows() -> tuple[Replies, int]:
    """Return each model's replies to the evaluated rows that name an emotion, and how many rows name none."""
    emotions, rows = prompt_emotions(Path(EVALUATING, ROWS)), read_lines(Path(EVALUATING, ROWS))
    replies: Replies = {"base": [], "tuned": []}
    for line in read_lines(Path(EVALUATING, PREDICTIONS)):
        if line["id"] in emotions:
            replies[line["model"]].append((emotions[line["id"]], line["reply"]))
    return replies, len(rows) - len(emotions)


def replies_to_prompts(loaded: LoadedModel, tokenizer: Any, asked: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return the emotion of each prompt with the model's reply; None for a prompt that it cannot answer."""
    found = answers(loaded, tokenizer, {**asked, "texts": [text for _, text in asked["prompts"]]})
    return [(emotion, one.get("reply")) for (emotion, _), one in zip(asked["prompts"], found, strict=True)]


def sentiment(classifier: str, replies: Replies | None) -> dict[str, Any]:
    """Return (emotion of the prompt, emotion of the reply) for each model's `replies`; None: those to the evaluated rows.

    Raises UserError if the classifier has labels that are not among the 28 emotions.
    """
    replies, without_emotion = (replies, 0) if replies else replies_to_rows()
    loaded = load(ModelReference(classifier, classifier, "", classifier, "", "", kind="classification"), "classification")
    if unknown := sorted(set(loaded.labels) - set(GROUP_OF)):
        raise UserError(f"{classifier} has labels that are not among the 28 emotions: {', '.join(unknown[:5])}")
    models: dict[str, Any] = {}
    for model, pairs in replies.items():
        heard = iter(predicted(loaded, [reply for _, reply in pairs if reply is not None]))
        models[model] = [(emotion, None if reply is None else next(heard)) for emotion, reply in pairs]
    return {**models, "rows_without_emotion": without_emotion}


def predicted(loaded: LoadedModel, texts: list[str]) -> list[str]:
    """Return the most likely label of each text, computed in batches."""
    found = []
    longest = min(LONGEST, loaded.context)
    for start in range(0, len(texts), BATCH):
        batch = loaded.tokenizer(texts[start : start + BATCH], truncation=True, max_length=longest)["input_ids"]
        found += [likeliest(loaded.labels, row) for row in label_probabilities(loaded, batch)]
    return found
