"""Which tokens of a row are trained, according to its labels."""

from typing import Any

IGNORED = -100  # the label of a masked token: torch's ignore_index


def long_rows(cfg: Any, tokenizer: Any, rows: list[dict[str, Any]]) -> dict[str, int]:
    """Return the ids of chats longer than sequence_len, with their length in tokens."""
    found = {}
    for row in rows:
        messages = [{key: message[key] for key in ("role", "content")} for message in row["messages"]]
        length = len(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"])
        if length > cfg.sequence_len:
            found[row["id"]] = length
    return found


def last_span(labels: list[int]) -> int:
    """Return where the last trained span starts: everything before it is the prompt for the reply."""
    end = max(index for index, label in enumerate(labels) if label != IGNORED)
    while end > 0 and labels[end - 1] != IGNORED:
        end -= 1
    return end


def end_ids(cfg: Any, tokenizer: Any) -> set[int]:
    """Return the ids of the tokens that end a turn."""
    tokens = list(cfg.eot_tokens or []) or [tokenizer.eos_token]
    return {tokenizer.convert_tokens_to_ids(token) for token in tokens}
