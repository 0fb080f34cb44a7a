"""Audit that every word of every message reaches the model: trained, masked, or left out by a rule that the recipe has accepted."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ...schemas.base.counted import counted
from ...schemas.base.errors import first_line
from ..models.chat_templates import SYSTEM_HINT
from ..models.template_rows import for_template
from .labels import IGNORED
from .message_spans import Message, Render, Span, locate, mark_contents, unmarked, whole_contents
from .prepared_rows import LISTED
from .token_text import TokenSpeller, TokenText
from .unread import WORDS_SHOWN, misread

HINTS = {
    "reasoning": "set data.reasoning: drop to accept it",
    "whitespace": "set data.whitespace: trim, the default, to accept it",
    "word": "choose another model.chat_template",
    "token": "choose another model, or remove these words",
    "system": SYSTEM_HINT,
}


class Loss(NamedTuple):
    """What one message loses. `kind`: word, gap, reasoning or whitespace left out; inserted, what is written inside; token, a word that has
    none; masked or unmasked against the recipe; misread, what the tokenizer changes; unknown."""

    row: str
    role: str
    kind: str
    text: str


class WordAudit:
    """Renders rows as training does, and compares the result with the tokens of the training."""

    def __init__(self, cfg: Any, tokenizer: Any) -> None:
        self.cfg, self.tokenizer, self.speller = cfg, tokenizer, TokenSpeller(tokenizer)
        roles = cfg.datasets[0].get("roles_to_train") or ["assistant"]
        self.roles = ("system", "user", "assistant", "tool") if cfg.train_on_inputs else tuple(roles)

    def rendering(self, row: dict[str, Any]) -> Render:
        """Return the function that renders messages with the row's other keys."""
        options = {**(self.cfg.chat_template_kwargs or {}), **({"tools": row["tools"]} if row.get("tools") else {})}
        return lambda messages: self.tokenizer.apply_chat_template(messages, tokenize=False, **options)

    def refusals(self, rows: Iterable[dict[str, Any]]) -> dict[str, str]:
        """Return the ids of rows that the template cannot render, with its message."""
        refused = {}
        for row in rows:
            messages, render = for_template(row["messages"]), self.rendering(row)
            try:
                row["marked"] = _render_marked(render, messages)
            except Exception as error:  # a template may raise its own message, or a type error
                refused[row["id"]] = first_line(error)
        return refused

    def losses(self, row: dict[str, Any], ids: Sequence[int], labels: Sequence[int]) -> list[Loss]:
        """Return what the row's messages lose in these tokens, and what is trained or masked against the recipe."""
        messages, render = for_template(row["messages"]), self.rendering(row)
        marked = row.get("marked") or _render_marked(render, messages)
        spans, lost, tokens = whole_contents(messages, marked), [], self.speller.spell(ids)
        found: list[Loss] = []
        if spans is None or tokens is None or tokens.text != unmarked(marked):
            plain = render(messages)
            if tokens is None or tokens.text != plain:
                tokens = self.speller.encode(plain, ids)
            if tokens is None:
                return [Loss(row["id"], "", "unknown", "its tokens are not those of the rendered text")]
            if misread(self.tokenizer, plain, ids):
                found += self._misread(row)
            if spans is None or unmarked(marked) != plain:
                located = locate(messages, render, plain)
                if located is None:
                    return [Loss(row["id"], "", "unknown", "its words cannot be followed through the template")]
                spans, lost = located
        found += [Loss(row["id"], messages[one.message]["role"], one.kind, one.text) for one in lost]
        found += self._without_token(row, spans, tokens, ids)
        return found + list(self._mask_faults(row, spans, tokens, labels))

    def _without_token(self, row: dict[str, Any], spans: list[Span], tokens: TokenText, ids: Sequence[int]) -> Iterable[Loss]:
        """Yield the words that the tokenizer does not know: the model gets its unknown token in their place."""
        unknown = getattr(self.tokenizer, "unk_token_id", None)
        for at in [at for at, number in enumerate(ids) if number == unknown] if unknown is not None and unknown in ids else ():
            start, end = tokens.starts[at], tokens.ends[at]
            span = next((span for span in spans if span.start < end and start < span.end), None)
            if span and tokens.text[start:end] != self.tokenizer.unk_token:
                yield Loss(row["id"], row["messages"][span.message]["role"], "token", tokens.text[start:end])

    def _misread(self, row: dict[str, Any]) -> Iterable[Loss]:
        """Yield the first word of each message that the tokenizer changes, or has no token for."""
        for message in row["messages"]:
            ids = self.tokenizer(message["content"], add_special_tokens=False, verbose=False)["input_ids"]
            if found := misread(self.tokenizer, message["content"], ids):
                kind, text = ("token", found.word) if found.vanishes else ("misread", str(found))
                yield Loss(row["id"], message["role"], kind, text)

    def _mask_faults(self, row: dict[str, Any], spans: list[Span], tokens: TokenText, labels: Sequence[int]) -> Iterable[Loss]:
        for span in spans:
            message = row["messages"][span.message]
            flag = message.get("train")
            is_trained = message["role"] in self.roles if flag is None else flag
            # A token that crosses the boundary of a content counts for a trained message, and not for a masked one.
            if is_trained:
                first, last = bisect_right(tokens.ends, span.start), bisect_left(tokens.starts, span.end)
            else:
                first, last = bisect_left(tokens.starts, span.start), bisect_right(tokens.ends, span.end)
            masked = labels[first:last].count(IGNORED)
            if masked == (0 if is_trained else max(last - first, 0)):
                continue
            wrong = [at for at in range(first, last) if (labels[at] == IGNORED) == is_trained]
            text = tokens.text[max(tokens.starts[wrong[0]], span.start) : min(tokens.ends[wrong[-1]], span.end)]
            # If reasoning is dropped, its tags are those that the template itself writes.
            dropped = span.reasoning and "reasoning" in accepted(self.cfg)
            yield Loss(row["id"], message["role"], "reasoning" if dropped else "masked" if is_trained else "unmasked", text)


def _render_marked(render: Render, messages: list[Message]) -> str:
    """Render the chat with marked contents, or without marks if the template refuses those."""
    try:
        return render(mark_contents(messages))
    except Exception:
        return render(messages)


def accepted(cfg: Any) -> frozenset[str]:
    """Return the kinds of loss that the recipe accepts."""
    return frozenset(cfg.accepted_losses or ())


def summary(losses: list[Loss]) -> dict[str, Any]:
    """Return losses by kind and role for tokens.json: how many, in which rows, and which words."""
    found: dict[str, Any] = {}
    for loss in losses:
        group = found.setdefault(f"{loss.kind} {loss.role}".strip(), {"count": 0, "rows": {}})
        group["count"] += 1
        words = group["rows"].setdefault(loss.row, [])
        if len(words) < WORDS_SHOWN:
            words.append(loss.text)
    return found


def problems(split: str, found: dict[str, Any], allowed: frozenset[str], template: str) -> Iterable[str]:
    """Yield a line for each kind and role of loss that the recipe has not accepted."""
    for name, group in found.items():
        kind, _, role = name.partition(" ")
        if kind in allowed:
            continue
        rows = group["rows"]
        listed = "; ".join(f"{row} ({quoted(words)})" for row, words in list(rows.items())[:LISTED])
        more = "; ..." if len(rows) > LISTED else ""
        hint = HINTS["system"] if kind == "word" and role == "system" else HINTS.get(kind, "choose another model.chat_template")
        yield f"in {counted(len(rows), f'{split} row')} {_what(kind, role, template)}: {listed}{more}: {hint}"


def quoted(words: list[str]) -> str:
    """Return the words of a loss for display."""
    text = " ".join(repr(word)[1:-1] for word in words) if len(words) > 1 else repr(words[0])[1:-1]
    return f"'{text[:80]}{'...' if len(text) > 80 else ''}'"


def _what(kind: str, role: str, template: str) -> str:
    texts: dict[str, Callable[[], str]] = {
        "word": lambda: f"{template} leaves out words of the {role} message",
        "reasoning": lambda: f"{template} leaves out or masks reasoning of the {role} message",
        "gap": lambda: f"{template} leaves out white space inside the {role} message",
        "inserted": lambda: f"{template} writes other characters inside the {role} message",
        "whitespace": lambda: f"{template} strips white space at the ends of the {role} message",
        "token": lambda: f"the tokenizer has no token for words of the {role} message",
        "masked": lambda: f"{template} writes the {role} message so that a part of it is not trained",
        "unmasked": lambda: f"{template} writes the {role} message so that a part of it is trained although it is masked",
        "unknown": lambda: f"{template} writes something that cannot be checked",
    }
    return texts[kind]()
