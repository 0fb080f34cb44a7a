"""Evaluate base and tuned model on the held-out rows, in a separate process.

python -m recipekit.runner.worker.evaluate (in the run directory)

Reads evaluating/request.json and evaluating/rows.jsonl, and rows.jsonl in the folder of each further set, tokenises the rows as in
training, and appends to predictions.jsonl next to them, batch by batch, so that a killed evaluation can continue.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ...schemas.evaluation_sections import without_reasoning
from ..models.template_rows import for_template
from ..runtime.child_requests import SetRequest
from ..runtime.line_sums import append_lines
from ..runtime.progress import Progress, read_lines, refusing
from ..runtime.run_files import EVALUATING, EVALUATION_CONFIG, EVALUATION_REQUEST, MASKS, PREDICTIONS, ROWS, SETS, TRAIN_ROWS
from ..runtime.run_folder import RunFolder
from .batch_progress import BatchProgress
from .generation import Reply, generate, in_memory, reply_to
from .head_loss import chunks
from .label_audit import row_problems
from .labels import IGNORED, last_span, long_rows
from .loading import LoadedModel, base_reference, load, reference_of, with_adapter
from .loss import can_choose_positions
from .packing import Piece, pieces
from .tokenization import load as load_config
from .tokenization import of_record_type, prompt_ids, refuse, segments, tokenise

MASK_ROWS, SHOWN = Path(EVALUATING, "mask_rows.jsonl"), 3


class HeldOut(NamedTuple):
    """Rows to evaluate on, and what is requested of the models."""

    predictions: Path
    rows: list[dict[str, Any]]
    asked: SetRequest


def main() -> None:
    """Answer the request."""
    request = RunFolder(Path()).read(EVALUATION_REQUEST)
    progress = Progress()
    whole = SetRequest(key=request["key"], record_type="", generate=request["generate"], generation=request["generation"])
    asked = {Path(EVALUATING): whole}
    asked |= {Path(EVALUATING, SETS, name): found for name, found in request["sets"].items()}
    cfg, tokenizer = load_config(EVALUATION_CONFIG)
    write_masks(cfg, tokenizer)
    if cfg.record_type == "classification":
        from .evaluate_classification import classify

        for folder in asked:
            classify(folder, request, cfg, tokenizer, progress)
        return
    held_out = [
        HeldOut(folder / PREDICTIONS, _prepared(of_record_type(cfg, part["record_type"]), tokenizer, folder / ROWS), part)
        for folder, part in asked.items()
    ]
    answered = BatchProgress(progress, "evaluate", 2 * sum(len(part.rows) for part in held_out))
    for loaded in models(cfg, request["bits"]):
        answered.facts = {"model": loaded.name}
        for part in held_out:
            _answer(loaded, part, answered)
    progress.event("evaluated", done=answered.done, total=answered.total)


def _answer(loaded: LoadedModel, held_out: HeldOut, answered: BatchProgress) -> None:
    """Append the missing predictions of one model, batch by batch."""
    done = {line["id"] for line in read_lines(held_out.predictions) if line["model"] == loaded.name}
    waiting = [row for row in held_out.rows if row["id"] not in done]
    settings, generates = held_out.asked["generation"], held_out.asked["generate"]
    size = settings["batch_size"]
    answered.add(len(held_out.rows) - len(waiting))
    for start in range(0, len(waiting), size):
        batch = waiting[start : start + size]
        scored = [likelihood(loaded, row["pieces"]) for row in batch]
        replies = [{}] * len(batch)
        if generates:
            replies = in_memory(lambda rows: replies_of(loaded, rows, settings, answered.watch), batch)
        lines = []
        for row, sums, reply in zip(batch, scored, replies, strict=True):
            line = {"model": loaded.name, "id": row["id"], "reference": row["reference"], "original_tokens": row["original_tokens"]}
            empty = {"reply": "", "stopped": False, "reply_tokens": 0}
            lines.append(json.dumps({**line, **sums, **empty, **reply}, ensure_ascii=False).encode() + b"\n")
        append_lines(held_out.predictions, lines)
        answered.add(len(batch))


def write_masks(cfg: Any, tokenizer: Any) -> None:
    """Write evaluating/masks.jsonl: the first training rows as text, in trained and masked segments."""
    with Path(TRAIN_ROWS).open(encoding="utf-8") as stream:
        MASK_ROWS.write_text("".join(islice(stream, SHOWN)), encoding="utf-8")
    rows = [
        {"id": row["id"], "label": row.get("label"), "segments": segments(row, tokenizer)} for row in tokenise(cfg, tokenizer, MASK_ROWS)
    ]
    MASK_ROWS.with_name(MASKS).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _prepared(cfg: Any, tokenizer: Any, path: Path) -> list[dict[str, Any]]:
    """Return the file's rows with their tensors, the prompt of the last reply and that reply; shortest prompts first, to pad less."""
    given = {row["id"]: row for row in read_lines(path)}
    rows = []
    chats = [row for row in given.values() if "messages" in row]
    if chats and (found := row_problems(cfg, tokenizer, "evaluated", chats)):  # of a set that was added after the training, for example
        refuse("\n".join(found))
    cut = long_rows(cfg, tokenizer, chats) if cfg.excess_length_strategy == "truncate" else {}
    for tensors in tokenise(cfg, tokenizer, path):
        row = given[tensors["id"]]
        if "messages" in row:
            rows.append(_prepared_chat(cfg, tokenizer, row, tensors, was_cut=row["id"] in cut))
        else:
            parts = pieces(tensors["input_ids"], cfg.sequence_len)
            rows.append({"id": row["id"], "prompt_ids": [], "pieces": parts, "reference": "", "original_tokens": None})
    return sorted(rows, key=lambda row: (len(row["prompt_ids"]), row["id"]))


def _prepared_chat(cfg: Any, tokenizer: Any, row: dict[str, Any], tensors: dict[str, Any], was_cut: bool) -> dict[str, Any]:
    """Return a chat with its tensors, its last trained message as the reference, and what precedes that as the prompt."""
    messages = row["messages"]
    last = last_trained(messages, cfg.datasets[0].get("roles_to_train") or ["assistant"])
    reference = messages[last]["content"]
    if "reasoning" in (cfg.accepted_losses or ()):
        reference = without_reasoning(reference)
    prompt = tensors["input_ids"][: last_span(tensors["labels"])]
    # The last trained tokens of a row that was cut may be those of an earlier reply.
    if was_cut and messages[last]["role"] == "assistant":
        prompt = prompt_ids(tokenizer, for_template(messages[:last]))
    parts = [Piece(tensors["input_ids"], tensors["labels"])]
    original_tokens = row.get("meta", {}).get("original_tokens")
    return {"id": row["id"], "prompt_ids": prompt, "pieces": parts, "reference": reference, "original_tokens": original_tokens}


def last_trained(messages: list[dict[str, Any]], roles: Sequence[str]) -> int:
    """Return the index of the last trained message, by its own flag or else by its role: the model is asked for this one."""
    return next(n for n in reversed(range(len(messages))) if messages[n].get("train", messages[n]["role"] in roles))


def models(cfg: Any, bits: int) -> Iterator[LoadedModel]:
    """Yield the base model, then the tuned one. With an adapter, the base is loaded once, in these bits, and gets the adapter; else it
    leaves its memory to the tuned model, as both may not fit on a GPU that shared the training with others."""
    tuned = reference_of(cfg)
    if tuned.adapter:
        base = load(tuned, adapted=False, bits=bits)
        yield base._replace(name="base")
        yield with_adapter(base, tuned)
    else:
        base = load(base_reference(cfg))
        yield base
        base.model.to("meta")  # whoever still refers to it
        yield load(tuned)


@torch.inference_mode()
def likelihood(loaded: LoadedModel, parts: Sequence[Piece]) -> dict[str, float]:
    """Return negative log-likelihood (nats), count and greedy hits of a row's trained tokens, summed over the parts of a long text."""
    sums = {"nll": 0.0, "target_tokens": 0, "correct": 0}
    for piece in parts:
        ids = torch.tensor([piece.input_ids], device=loaded.device)
        labels = torch.tensor(piece.labels, device=loaded.device)[1:]
        places = (labels != IGNORED).nonzero()[:, 0]
        options, at = ({"logits_to_keep": places}, slice(None)) if can_choose_positions(loaded.model) else ({}, places)
        logits = loaded.model(input_ids=ids, attention_mask=torch.ones_like(ids), **options).logits[0, at]
        for part in chunks(*logits.shape):
            found, targets = logits[part].float(), labels[places[part]]
            sums["nll"] += float(torch.nn.functional.cross_entropy(found, targets, reduction="sum"))
            sums["correct"] += int((found.argmax(-1) == targets).sum())
        sums["target_tokens"] += len(places)
    return sums


def replies_of(
    loaded: LoadedModel,
    batch: Sequence[dict[str, Any]],
    settings: dict[str, Any],
    watch: Callable[[list[Reply]], None] = lambda replies: None,
) -> list[dict[str, Any]]:
    """Generate a reply to each row's prompt in one batch; `watch` gets the replies first."""
    replies = [reply_to(loaded, row["id"], row["prompt_ids"], settings) for row in batch]
    watch(replies)
    generate(loaded, replies)
    return [
        {"reply": loaded.text_of(reply.token_ids), "stopped": reply.finish == "stop", "reply_tokens": len(reply.token_ids)}
        for reply in replies
    ]


if __name__ == "__main__":
    with refusing(Progress()):
        main()
