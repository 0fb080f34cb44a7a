"""Audit which tokens are trained, counted from the trainer's tensors; refuse rows that train nothing, and replies that cannot end."""

import re
from typing import Any

from ...schemas.base.counted import counted
from . import word_audit
from .labels import IGNORED, end_ids, long_rows
from .prepared_rows import LISTED, long_rows_fault
from .unread import any_of
from .word_audit import WordAudit

Rows = dict[str, list[dict[str, Any]]]


def template_refusals(words: WordAudit, rows: Rows, template: str) -> list[str]:
    """Return a line for each split with chats that the template cannot render: their rows, and its message."""
    return [line for split, records in rows.items() for line in _refused(split, words.refusals(records), template)]


def _refused(split: str, refused: dict[str, str], template: str) -> list[str]:
    if not refused:
        return []
    listed = "; ".join(f"{row} ({message})" for row, message in list(refused.items())[:LISTED])
    system = any("system" in message.lower() for message in refused.values())
    hint = word_audit.HINTS["system"] if system else "choose another model.chat_template, or change the rows"
    return [f"{template} refuses {counted(len(refused), f'{split} row')}: {listed}: {hint}"]


def row_facts(cfg: Any, tokenizer: Any, rows: list[dict[str, Any]], tokenised: list[dict[str, Any]]) -> dict[str, Any]:
    """Return counts and faults of these rows, as in tokens.json for a split."""
    return _audit_split(cfg, WordAudit(cfg, tokenizer), rows, tokenised, end_ids(cfg, tokenizer))


def row_problems(cfg: Any, tokenizer: Any, name: str, rows: list[dict[str, Any]]) -> list[str]:
    """Return why these rows cannot be tokenised. `name` says what they are: test, chosen."""
    words = WordAudit(cfg, tokenizer)
    if refused := template_refusals(words, {name: rows}, cfg.template_name):
        return refused
    long = long_rows(cfg, tokenizer, rows) if cfg.excess_length_strategy == "raise" else {}
    return [long_rows_fault(name, long, cfg.sequence_len)] if long else []


def audit(cfg: Any, tokenizer: Any, meta: Any, rows: Rows, words: WordAudit) -> dict[str, Any]:
    """Return counts and faults by split. `meta` is Axolotl's tokenised data, or None if it refused the rows' length."""
    tokenised = {"train": meta.train_dataset, "validation": meta.eval_dataset} if meta else {}
    ends = end_ids(cfg, tokenizer)
    return {split: _audit_split(cfg, words, records, tokenised.get(split), ends) for split, records in rows.items()}


def _audit_split(cfg: Any, words: WordAudit, rows: list[dict[str, Any]], dataset: Any, ends: set[int]) -> dict[str, Any]:
    tokenizer = words.tokenizer
    facts: dict[str, Any] = {"rows": len(rows)}
    if dataset is None or len(dataset) != len(rows) or cfg.excess_length_strategy == "truncate":
        facts["long_rows"] = long_rows(cfg, tokenizer, rows)
    if dataset is None:
        return facts
    if cfg.excess_length_strategy == "drop":
        rows = [row for row in rows if row["id"] not in facts.get("long_rows", {})]
    names = [row["id"] for row in rows] if len(rows) == len(dataset) else [f"row {n}" for n in range(1, len(dataset) + 1)]
    facts["injected_token_rows"] = rows_with_injected_special_tokens(rows, tokenizer)
    facts |= {"trained_rows": len(dataset), "trained": 0, "masked": 0, "longest": 0, "untrained_rows": [], "rows_without_eos": []}
    losses: list[word_audit.Loss] = []
    cut = facts.get("long_rows", {}) if cfg.excess_length_strategy == "truncate" else {}
    by_name = {row["id"]: row for row in rows if row["id"] not in cut}
    for name, tensors in zip(names, dataset, strict=True):
        labels = tensors["labels"]
        if name in by_name:
            losses += words.losses(by_name[name], tensors["input_ids"], labels)
        trained = sum(label != IGNORED for label in labels)
        facts["trained"] += trained
        facts["masked"] += len(labels) - trained
        facts["longest"] = max(facts["longest"], len(labels))
        if not trained:
            facts["untrained_rows"].append(name)
        elif ends and not _spans_end_with(labels, ends):
            facts["rows_without_eos"].append(name)
    facts["misread_rows"] = {loss.row: loss.text for loss in losses if loss.kind == "misread"}
    facts["losses"] = word_audit.summary([loss for loss in losses if loss.kind != "misread"])
    return facts


def rows_with_injected_special_tokens(rows: list[dict[str, Any]], tokenizer: Any) -> dict[str, str]:
    """Return the ids of chats with a special token of the model, or a turn marker of its template, in a message, with the first one.

    The model would read what a person wrote as the end of their turn and the start of another.
    """
    markers_in = any_of({*tokenizer.all_special_tokens, *_MARKER.findall(str(tokenizer.chat_template or ""))})
    found = ((row["id"], markers_in.search(message["content"])) for row in rows for message in row["messages"])
    return {name: marker.group() for name, marker in found if marker}


# Turn markers that are plain text to the tokenizer, so that it does not list them: <|user|>, [INST], <<SYS>>, <start_of_turn>.
_MARKER = re.compile(r"<\|[^|<>\s]+\|>|\[/?[A-Z_]{3,}\]|<</?[A-Z]+>>|<\w+_of_turn>")


def _spans_end_with(labels: list[int], ends: set[int]) -> bool:
    """Return whether every trained span ends with an end of turn."""
    followers = [*labels[1:], IGNORED]
    return all(label == IGNORED or after != IGNORED or label in ends for label, after in zip(labels, followers, strict=True))


def audit_problems(report: dict[str, Any], cfg: Any, end_of_turn: str = "") -> list[str]:
    """Return what prevents the run from starting, in words; empty if every row trains something and every reply ends. `end_of_turn` says
    why none can end."""
    faults = [end_of_turn] if end_of_turn else []
    for split, facts in report.items():
        if injected := facts.get("injected_token_rows"):
            listed = ", ".join(f"{row} ({marker})" for row, marker in list(injected.items())[:LISTED])
            rows = counted(len(injected), f"{split} row", "contain")
            faults.append(f"{rows} a control token of the model, or a turn marker of its template: {listed}; remove it")
        long = facts.get("long_rows") or {}
        if long and cfg.excess_length_strategy == "raise":
            faults.append(long_rows_fault(split, long, cfg.sequence_len))
        faults += word_audit.problems(split, facts.get("losses", {}), word_audit.accepted(cfg), cfg.template_name)
        if rows := facts.get("untrained_rows"):
            faults.append(f"{counted(len(rows), f'{split} row', 'have')} no trained token: {', '.join(rows[:LISTED])}")
        if not end_of_turn and (rows := facts.get("rows_without_eos")) and cfg.excess_length_strategy != "truncate":
            faults.append(f"in {counted(len(rows), f'{split} row')} the end of a trained turn is not trained: {', '.join(rows[:LISTED])}")
    return faults


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
