"""Base and tuned model over the held-out rows, in a process of its own.

python -m recipekit.runner.worker.evaluate (in the run directory)

Reads eval/request.json and eval/rows.jsonl, tokenises the rows as training did, and appends to eval/predictions.jsonl batch by batch,
so that an evaluation that was killed goes on where it was.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, set_seed

from ..runtime.progress import Progress, cut_torn_line, read_lines
from .packing import Piece, pieces
from .tokenization import IGNORED, end_ids, last_span, load, segments, tokenise

ROWS = Path("eval/rows.jsonl")
PREDICTIONS = Path("eval/predictions.jsonl")
TRAIN, MASK_ROWS, MASKS = Path("data/train.jsonl"), Path("eval/mask_rows.jsonl"), 3
CONFIG = "eval/axolotl.yml"  # rendered for this machine, which need not be the one that trained


def main() -> None:
    """Answer the request."""
    request = json.loads(Path("eval/request.json").read_text(encoding="utf-8"))
    progress = Progress(Path("progress.jsonl"))
    cut_torn_line(PREDICTIONS)
    cfg, tokenizer = load(CONFIG)
    write_masks(cfg, tokenizer)
    if cfg.record_type == "classification":
        from .evaluate_classification import classify

        return classify(request, cfg, tokenizer, progress)
    tokenizer.padding_side = "left"
    request["stop_ids"] = sorted(end_ids(cfg, tokenizer))
    rows = _prepared(cfg, tokenizer)
    done = {(line["model"], line["id"]) for line in read_lines(PREDICTIONS)}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    total = 2 * len(rows)
    for name, model in models(request, dtype, device):
        waiting = [row for row in rows if (name, row["id"]) not in done]
        size = request["generation"]["batch_size"]
        for start in range(0, len(waiting), size):
            batch = waiting[start : start + size]
            progress.event("evaluate", model=name, done=len(done), total=total)
            scored = [_score(model, row, device) for row in batch]
            replies = generate(model, tokenizer, batch, request, device) if request["generate"] else [{}] * len(batch)
            with PREDICTIONS.open("a", encoding="utf-8") as stream:
                for row, likelihood, reply in zip(batch, scored, replies, strict=True):
                    line = {"model": name, "id": row["id"], "reference": row["reference"], "original_tokens": row["original_tokens"]}
                    empty = {"reply": "", "stopped": False, "reply_tokens": 0}
                    stream.write(json.dumps({**line, **likelihood, **empty, **reply}, ensure_ascii=False) + "\n")
            done |= {(name, row["id"]) for row in batch}
    progress.event("evaluated", done=len(done), total=total)


def write_masks(cfg: Any, tokenizer: Any) -> None:
    """eval/masks.jsonl: the first training rows as text, in runs of what is trained and what is masked."""
    with TRAIN.open(encoding="utf-8") as stream:
        MASK_ROWS.write_text("".join(islice(stream, MASKS)), encoding="utf-8")
    rows = [
        {"id": row["id"], "label": row.get("label"), "segments": segments(row, tokenizer)} for row in tokenise(cfg, tokenizer, MASK_ROWS)
    ]
    MASK_ROWS.with_name("masks.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _prepared(cfg: Any, tokenizer: Any) -> list[dict[str, Any]]:
    """The rows with their tensors, the prompt of the last reply and that reply; shortest prompts first, to pad less."""
    given = {row["id"]: row for row in read_lines(ROWS)}
    rows, roles = [], cfg.datasets[0].get("roles_to_train") or ["assistant"]
    for tensors in tokenise(cfg, tokenizer, ROWS):
        row = given[tensors["id"]]
        if "messages" in row:
            given_reply = {"reference": last_trained(row["messages"], roles), "original_tokens": row.get("meta", {}).get("original_tokens")}
            prompt, parts = tensors["input_ids"][: last_span(tensors["labels"])], [Piece(tensors["input_ids"], tensors["labels"])]
        else:
            given_reply = {"reference": "", "original_tokens": None}
            prompt, parts = [], pieces(tensors["input_ids"], cfg.sequence_len)
        rows.append({"id": row["id"], "prompt_ids": prompt, "pieces": parts, **given_reply})
    return sorted(rows, key=lambda row: (len(row["prompt_ids"]), row["id"]))


def last_trained(messages: list[dict[str, Any]], roles: Sequence[str]) -> str:
    """The last message that is trained: by its own word, else by its role. The model is asked for that one."""
    return next(message["content"] for message in reversed(messages) if message.get("train", message["role"] in roles))


def models(request: dict[str, Any], dtype: torch.dtype, device: str) -> Iterator[tuple[str, Any]]:
    """The base model, then the tuned one. With an adapter the base is loaded once and the adapter put on it."""
    options = {"dtype": dtype, "trust_remote_code": request["trust_remote_code"], "revision": request["revision"]}
    base: Any = AutoModelForCausalLM.from_pretrained(request["base_model"], **options)
    base = base.to(device).eval()
    yield "base", base
    if request["adapter"]:
        from peft import PeftModel

        yield "tuned", PeftModel.from_pretrained(base, "model").eval()
    else:
        del base
        tuned: Any = AutoModelForCausalLM.from_pretrained("model", dtype=dtype)
        yield "tuned", tuned.to(device).eval()


@torch.inference_mode()
def _score(model: Any, row: dict[str, Any], device: str) -> dict[str, float]:
    """Negative log-likelihood (nats), count and greedy hits of the row's trained tokens; a long text's parts are added up."""
    sums = {"nll": 0.0, "target_tokens": 0, "correct": 0}
    for piece in row["pieces"]:
        ids = torch.tensor([piece.input_ids], device=device)
        labels = torch.tensor(piece.labels, device=device)[1:]
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, :-1].float()
        trained = labels != IGNORED
        logits, labels = logits[trained], labels[trained]
        sums["nll"] += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
        sums["target_tokens"] += int(trained.sum())
        sums["correct"] += int((logits.argmax(-1) == labels).sum())
    return sums


@torch.inference_mode()
def generate(model: Any, tokenizer: Any, batch: list[dict[str, Any]], request: dict[str, Any], device: str) -> list[dict[str, Any]]:
    """A reply to each row's prompt, generated together, padded on the left."""
    settings = request["generation"]
    prompts = [row["prompt_ids"] for row in batch]
    inputs = tokenizer.pad({"input_ids": prompts}, return_tensors="pt").to(device)
    padding = tokenizer.pad_token_id
    if padding >= model.get_input_embeddings().num_embeddings:  # a token that training added; the base has none for it
        padding = request["stop_ids"][0]
        inputs["input_ids"].masked_fill_(inputs["attention_mask"] == 0, padding)
    set_seed(settings["seed"])
    sampling = {"do_sample": True, "temperature": settings["temperature"], "top_p": settings["top_p"]} if settings["temperature"] else {}
    output = model.generate(
        **inputs, max_new_tokens=settings["max_new_tokens"], eos_token_id=request["stop_ids"], pad_token_id=padding,
        **(sampling or {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}),
    )  # fmt: skip
    stops = set(request["stop_ids"])
    replies = []
    for tokens in output[:, inputs["input_ids"].shape[1] :].tolist():
        end = next((index for index, token in enumerate(tokens) if token in stops), None)
        kept = tokens if end is None else tokens[:end]
        text = tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False).strip()
        replies.append({"reply": text, "stopped": end is not None, "reply_tokens": len(kept)})
    return replies


if __name__ == "__main__":
    main()
