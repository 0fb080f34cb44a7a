"""Predict a file's rows with a model, in a separate process: python -m recipekit.runner.worker.predict (in the prediction's folder)

Reads request.json and rows.jsonl, and appends a whole line to predicted.jsonl for each batch: after a kill, it continues with the next
batch, which is the same as without the kill.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from ..models.reference import ModelReference
from ..runtime.line_sums import append_lines
from ..runtime.progress import Progress, each_line, refusing
from ..runtime.run_files import PREDICT_REQUEST, PREDICTED, ROWS
from ..runtime.run_folder import RunFolder
from .batch_progress import BatchProgress
from .generation import Reply, generate, in_memory, label_probabilities, likeliest, reply_to
from .loading import LoadedModel, load
from .tokenization import RefusedMessages

WINDOW = 32  # batches; rows are sorted by length within a window, to pad less

Numbered = list[tuple[int, dict[str, Any]]]


def main() -> None:
    """Answer the request."""
    request = RunFolder(Path()).read(PREDICT_REQUEST)
    progress = Progress()
    done = [len(line["rows"]) for line in each_line(Path(PREDICTED), "rows")]  # of each batch
    reference, settings = ModelReference(**request["model"]), request["settings"]
    kind = request["record_type"]
    loaded = load(reference, "classification" if kind == "classification" else "causal", chats=kind == "chat")
    answered = BatchProgress(progress, "predict", request["rows"], sum(done))
    chat = (_prompts, partial(replies_to, watch=answered.watch))
    prepare, predict = {"chat": chat, "classification": (text_row, labels_of), "text": (_documents, _perplexities)}[kind]
    batches = _batches(settings["batch_size"], lambda row: prepare(loaded, row, settings))
    answered.add(0)
    for batch in islice(batches, len(done), None):
        found = in_memory(lambda rows: predict(loaded, rows, settings), [row for _, row in batch])
        numbers = [number for number, _ in batch]
        line = json.dumps({"rows": list(zip(numbers, found, strict=True))}, ensure_ascii=False) + "\n"
        append_lines(Path(PREDICTED), [line.encode()])
        answered.add(len(batch))


def _batches(size: int, prepare: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[Numbered]:
    """Yield the usable rows, with their numbers, always in the same batches: sorted by length within a window."""
    with Path(ROWS).open(encoding="utf-8") as stream:
        rows = ((number, json.loads(line)) for number, line in enumerate(stream))
        asked = ((number, prepare(row)) for number, row in rows if row["fields"])
        while window := sorted(islice(asked, size * WINDOW), key=lambda pair: (len(pair[1]["ids"]), pair[0])):
            for start in range(0, len(window), size):
                yield window[start : start + size]


def _prompts(loaded: LoadedModel, row: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"id": row["id"], "ids": loaded.prompt_ids(row["fields"]["messages"])}
    except RefusedMessages as error:
        return {"id": row["id"], "ids": [], "error": str(error)}


def replies_to(
    loaded: LoadedModel, batch: list[dict[str, Any]], settings: dict[str, Any], watch: Callable[[list[Reply]], None] = lambda replies: None
) -> list[dict[str, Any]]:
    """Generate a reply to each chat that has room for one; `watch` gets the replies first."""
    replies = {
        place: reply_to(loaded, row["id"], row["ids"], settings)
        for place, row in enumerate(batch)
        if "error" not in row and len(row["ids"]) < loaded.context
    }
    if replies:
        watch([*replies.values()])
        generate(loaded, [*replies.values()])
    too_long = "the prompt has {:,} tokens; the model's limit is {:,} including the reply"
    return [
        _reply(loaded, replies[place])
        if place in replies
        else {"error": row.get("error") or too_long.format(len(row["ids"]), loaded.context)}
        for place, row in enumerate(batch)
    ]


def _reply(loaded: LoadedModel, reply: Reply) -> dict[str, Any]:
    return {"reply": loaded.text_of(reply.token_ids), "finish_reason": reply.finish, "reply_tokens": len(reply.token_ids)}


def text_row(loaded: LoadedModel, row: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Return the text's tokens as training has them, cut if they are too many, and how many there were."""
    from .classification import tokenise

    ids, tokens = tokenise(row["fields"]["text"], loaded.tokenizer, settings["sequence_len"] or loaded.context)
    return {"ids": ids, "tokens": tokens}


def labels_of(loaded: LoadedModel, batch: list[dict[str, Any]], settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the most likely label of each text with every label's probability. A text longer than in training is cut, and marked as
    such."""
    predictions = []
    for row, chances in zip(batch, label_probabilities(loaded, [row["ids"] for row in batch]), strict=True):
        probabilities = {label: round(chance, 6) for label, chance in zip(loaded.labels, chances, strict=True)}
        label = likeliest(loaded.labels, chances)
        cut = {"tokens_seen": len(row["ids"])} if row["tokens"] > len(row["ids"]) else {}
        predictions.append(
            {"label": label, "probability": probabilities[label], "probabilities": probabilities, "tokens": row["tokens"], **cut}
        )
    return predictions


def _documents(loaded: LoadedModel, row: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    from .packing import document_ids

    return {"ids": document_ids(row["fields"]["text"], loaded.tokenizer)}


def _perplexities(loaded: LoadedModel, batch: list[dict[str, Any]], settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each text's perplexity, over all its tokens but the first."""
    from .evaluate import likelihood
    from .packing import pieces

    length = settings["sequence_len"] or loaded.context
    found = [likelihood(loaded, pieces(row["ids"], length)) for row in batch]
    return [_perplexity(sums["nll"], int(sums["target_tokens"])) for sums in found]


def _perplexity(nll: float, tokens: int) -> dict[str, Any]:
    if not tokens:
        return {"error": "the text has only one token: nothing is predicted"}
    mean = nll / tokens
    return {"perplexity": math.exp(mean) if mean < 700 else None, "nll": nll, "tokens": tokens}


if __name__ == "__main__":
    with refusing(Progress()):
        sys.exit(main())
