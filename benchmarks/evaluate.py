"""Generating the replies of an evaluation on a CPU: ours against the EmoGPT guide's loop.

    batched_vs_one_by_one  replies per second of the evaluator (batches, padded on the left, shortest prompts first) over those of a loop
                           that tokenises, generates and decodes one row at a time

The same model (the embedded SmolLM2-135M), the same rows, greedy decoding and the same limit of new tokens on both sides; `same` is the
share of replies that are equal, which rounding in a batch keeps below 1. Each side runs in turns, so that a busy machine slows both.
The last line is one JSON object.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def questions(count: int) -> list[list[dict[str, str]]]:
    """The first conversations of the small EmoGPT set, without their last reply."""
    lines = (ROOT / "recipes" / "data" / "emogpt_small.jsonl").read_text(encoding="utf-8").splitlines()[:count]
    return [json.loads(line)["messages"][:-1] for line in lines]


def one_by_one(model: Any, tokenizer: Any, chats: list[list[dict[str, str]]], new_tokens: int) -> list[str]:
    """The guide's loop: template, tokenise, generate, decode, a row at a time."""
    replies = []
    for chat in chats:
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        inputs = tokenizer(text, return_tensors="pt")
        output = model.generate(**inputs, max_new_tokens=new_tokens, do_sample=False, pad_token_id=tokenizer.pad_token_id)
        replies.append(tokenizer.decode(output[0][inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip())
    return replies


def batched(loaded: Any, chats: list[list[dict[str, str]]], new_tokens: int, batch_size: int) -> list[str]:
    """The evaluator's way, tokenising included."""
    from recipekit.runner.worker.evaluate import replies_of

    settings = {"seed": 42, "temperature": 0, "top_p": 1, "max_new_tokens": new_tokens}
    ids = [loaded.prompt_ids(chat) for chat in chats]
    order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
    replies = [""] * len(ids)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        found = replies_of(loaded, [{"id": str(index), "prompt_ids": ids[index]} for index in chosen], settings)
        for index, reply in zip(chosen, found, strict=True):
            replies[index] = reply["reply"]
    return replies


def measure(rows: int, new_tokens: int, batch_size: int, rounds: int) -> dict[str, Any]:
    """Both sides in turns; medians."""
    import torch
    from recipekit.runner.models.reference import resolve_target
    from recipekit.runner.worker.loading import load
    from recipekit.schemas.model_rules import EMBEDDED

    loaded = load(resolve_target(EMBEDDED, ROOT / "runs"), chats=True, device="cpu")
    chats = questions(rows)
    seconds: dict[str, list[float]] = {"one_by_one": [], "batched": []}
    replies: dict[str, list[str]] = {}
    with torch.inference_mode():
        batched(loaded, chats[:2], 2, 2)
        for _ in range(rounds):
            for name in ("one_by_one", "batched"):
                started = time.perf_counter()
                if name == "batched":
                    replies[name] = batched(loaded, chats, new_tokens, batch_size)
                else:
                    replies[name] = one_by_one(loaded.model, loaded.tokenizer, chats, new_tokens)
                seconds[name].append(time.perf_counter() - started)
    per_second = {name: rows / statistics.median(found) for name, found in seconds.items()}
    same = sum(one == other for one, other in zip(replies["one_by_one"], replies["batched"], strict=True)) / rows
    return {
        "batched_vs_one_by_one": round(per_second["batched"] / per_second["one_by_one"], 2),
        **{f"{name}_replies_per_s": round(value, 3) for name, value in per_second.items()},
        "same": round(same, 3), "rows": rows, "new_tokens": new_tokens, "batch_size": batch_size, "threads": torch.get_num_threads(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows, shorter replies, one round")
    quick = parser.parse_args().quick
    print(json.dumps(measure(16, 24, 16, 1) if quick else measure(32, 64, 16, 3)))


if __name__ == "__main__":
    main()
