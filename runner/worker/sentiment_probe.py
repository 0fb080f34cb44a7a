"""Classify the emotion of every generated reply, beside the emotion of its prompt (meta.emotion)."""

from pathlib import Path
from typing import Any

from ..evaluation.sentiment import GROUP_OF, by_group, counted
from ..models.reference import ModelReference
from ..runtime.progress import read_lines
from ..runtime.run_files import EVALUATING
from .generation import label_probabilities
from .loading import LoadedModel, load

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


def classify_replies(classifier: str) -> dict[str, Any]:
    """Return, for base and tuned model, counts by prompt and reply emotion, and shares by group; and how many rows have no emotion.

    The classifier's labels must be the 28 emotions.
    """
    emotions, rows = prompt_emotions(Path(EVALUATING, "rows.jsonl")), read_lines(Path(EVALUATING, "rows.jsonl"))
    predictions = [line for line in read_lines(Path(EVALUATING, "predictions.jsonl")) if line["id"] in emotions]
    loaded = load(ModelReference(classifier, classifier, "", classifier, "", "", kind="classification"), "classification")
    if unknown := sorted(set(loaded.labels) - set(GROUP_OF)):
        raise ValueError(f"{classifier} has labels that are not among the 28 emotions: {', '.join(unknown[:5])}")
    found = predicted(loaded, [line["reply"] for line in predictions])
    models: dict[str, Any] = {}
    for model in ("base", "tuned"):
        pairs = [(emotions[line["id"]], emotion) for line, emotion in zip(predictions, found, strict=True) if line["model"] == model]
        counts = counted(pairs)
        models[model] = {"counts": counts, "groups": by_group(counts)}
    return {"classifier": classifier, "models": models, "rows_without_emotion": len(rows) - len(emotions)}


def predicted(loaded: LoadedModel, texts: list[str]) -> list[str]:
    """Return the most likely label of each text, computed in batches."""
    found = []
    longest = min(LONGEST, loaded.context)
    for start in range(0, len(texts), BATCH):
        batch = loaded.tokenizer(texts[start : start + BATCH], truncation=True, max_length=longest)["input_ids"]
        found += [loaded.labels[max(range(len(row)), key=row.__getitem__)] for row in label_probabilities(loaded, batch)]
    return found
