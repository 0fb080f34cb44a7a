"""Check that a reply can end: with a token of the model that the chat template writes after it, and that is not padding."""

from typing import Any


def end_of_turn_problem(cfg: Any, tokenizer: Any) -> str:
    """Return why no reply in a chat can end correctly, in words; empty if it can."""
    ends = list(cfg.eot_tokens or []) or [tokenizer.eos_token]
    name = f"model.end_of_turn: {ends[0]!r}" if cfg.eot_tokens else f"the tokenizer's end of turn, {ends[0]!r},"
    written = text_after_reply(tokenizer)
    unknown = [token for token in ends if token not in tokenizer.get_vocab()]
    if unknown or (written is not None and not any(token in written for token in ends)):
        what = "is not a token of the model" if unknown else "does not end a reply"
        known = next((token for token in tokenizer.get_added_vocab() if written and token in written), None)
        hint = f"set model.end_of_turn: {known!r}" if known else "choose the model.chat_template that the model was trained with"
        return f"{name} {what}{f'; {cfg.template_name} writes {written!r} after a reply' if written else ''}: {hint}"
    if tokenizer.pad_token in ends:
        return f"{name} is also the padding token, which is masked: the model would never learn to stop; set another model.pad_token"
    return ""


def text_after_reply(tokenizer: Any) -> str | None:
    """Return what the template writes after the last reply; None if a short chat does not show it."""
    mark = "\U000f0000"
    try:
        text = tokenizer.apply_chat_template([{"role": "user", "content": "a"}, {"role": "assistant", "content": mark}], tokenize=False)
    except Exception:  # a template may raise any error; the audit reports it
        return None
    return text.rpartition(mark)[2].strip() if mark in text else None
