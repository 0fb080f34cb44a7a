"""Refuse data that would be trained as something else, with what to do instead."""

from typing import Any

from ...schemas.base.errors import Location, Problem, UserError


def refuse_rows(rows: list[dict[str, Any]], path: str) -> None:
    """Raise UserError for preference data, whose rejected replies would be trained too, and for the export of a whole Telegram account."""
    if any({"chosen", "rejected"} <= set(row) for row in rows):
        what, hint = "is preference data (chosen and rejected)", "use the column of the preferred reply as the answer"
    elif any({"prompt", "completion", "label"} <= set(row) and isinstance(row["label"], bool) for row in rows):
        what, hint = "is preference data (a completion and whether it is good)", "keep the rows whose label is true, without the label"
    elif any(isinstance(chats := row.get("chats"), dict) and isinstance(chats.get("list"), list) for row in rows):
        what = "holds all chats of a Telegram account"
        hint = "export a single chat (Export chat history), or take one from the file, here the first: jq '.chats.list[0]' FILE > chat.json"
        raise UserError(Problem(Location(path), what, hint, "unknown-data"))
    else:
        return
    raise UserError(Problem(Location(path), what, f"recipes support supervised fine-tuning: {hint}", "unknown-data"))


def refuse_labelled_lines(path: str, head: bytes) -> None:
    """Raise UserError for lines that begin with fastText's labels, which would be trained as words of the text."""
    lines = [line for line in head.splitlines() if line.strip()]
    if lines and sum(line.startswith(b"__label__") for line in lines) > len(lines) / 2:
        command = "sed 's/^__label__\\([^ ]*\\) */\\1\\t/' FILE > rows.tsv"
        hint = f"write them as a table ({command}) and name its columns: --column label --column text"
        raise UserError(Problem(Location(path, 1), "its lines begin with labels in the form of fastText", hint, "unknown-data"))
