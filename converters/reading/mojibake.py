"""Repair UTF-8 that was read as Windows-1252 or MacRoman and saved again: `Itâ€™s fine`, `‚úÖ done`.

ftfy finds the repair. It is used only if it can be reversed: the repaired text, misread in the same way, must give the original text,
character by character. Mixed text (a correct emoji in a broken line) therefore stays as it is.
"""

import re
from typing import Any

from ...schemas.base.errors import UserError
from .records import RecordValue

FIXED = "fixed_mojibake"
_MISREAD_AS = ("latin-1", "sloppy-windows-1252", "macroman")


def _images(first: int, last: int) -> str:
    """Return the characters that the bytes from first to last become when misread."""
    found = {bytes([byte]).decode(codec, "ignore") for byte in range(first, last + 1) for codec in ("latin-1", "cp1252", "mac_roman")}
    return "".join(map(re.escape, sorted(found)))


# A lead byte of UTF-8 and a continuation byte: text without such a pair cannot be misread UTF-8.
_SUSPICIOUS = re.compile(f"[{_images(0xC2, 0xF4)}][{_images(0x80, 0xBF)}]")
# ftfy does not repair symbols and emoji read as MacRoman that stand alone. Real text does not contain these sequences.
_SYMBOL = re.compile(f"\uf8ffü|‚[{_images(0x80, 0xBF)}]{{2}}")


def may_be_misread(text: bytes) -> bool:
    """Rule out most UTF-8 texts quickly; True decides nothing.

    Misread text contains Western European letters and signs, which begin with these bytes. Misread symbols alone are recognised only with
    an à as MacRoman (voil√†), because correct text is full of their characters. A byte is found four times as fast by its number.
    """
    return not text.isascii() and (0xC3 in text or 0xC2 in text or 0xC5 in text or (0x9A in text and b"\xe2\x88\x9a" in text))


def fix_fields(fields: RecordValue) -> RecordValue:
    """Return the record's fields with repaired texts; the same object if there was nothing to repair."""
    if "messages" not in fields:
        text = fix_text(fields["text"]) if isinstance(fields.get("text"), str) else None
        return fields if text is None or text == fields["text"] else {**fields, "text": text}
    old = fields["messages"]
    new = [_message(message) for message in old] if isinstance(old, list) else []
    return {**fields, "messages": new} if any(a is not b for a, b in zip(new, old or (), strict=False)) else fields


def _message(message: Any) -> Any:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, str) or (text := fix_text(content)) == content:
        return message
    return {**message, "content": text}


def fix_text(text: str) -> str:
    """Repair the text as a whole, or else line by line, where the repair is certain."""
    if text.isascii() or not _SUSPICIOUS.search(text):
        return text
    whole = _fix_part(text)
    if whole != text or "\n" not in text:
        return whole
    return "\n".join(line if line.isascii() else _fix_part(line) for line in text.split("\n"))


def _fix_part(text: str) -> str:
    try:
        import ftfy
    except ImportError:
        raise UserError(
            "repairing mojibake needs the package ftfy", hint="pip install 'recipekit[data]', or set fix_mojibake: false"
        ) from None
    fixed, steps = ftfy.fix_encoding_and_explain(text)
    misread = [step.parameter for step in steps or () if step.action == "encode"]
    decoded = [step for step in steps or () if step == ("decode", "utf-8")]
    if fixed != text and len(misread) == len(decoded) == len(steps or ()) / 2 and set(misread) <= set(_MISREAD_AS):
        return fixed if _misread(fixed, misread) == text else text
    return _symbols(text) if _SYMBOL.search(text) else text


def _misread(fixed: str, misread: list[str]) -> str:
    """Misread the fixed text again, undoing the repairs in reverse order."""
    try:
        for codec in reversed(misread):
            fixed = fixed.encode("utf-8").decode(codec)
    except UnicodeError:
        return ""
    return fixed


def _symbols(text: str) -> str:
    """Read the text as UTF-8 if the result is only symbols, punctuation and emoji."""
    try:
        fixed = text.encode("mac_roman").decode("utf-8")
    except UnicodeError:
        return text
    plain = all(c.isascii() or 0x2000 <= ord(c) < 0x2C00 or 0xFE00 <= ord(c) <= 0xFE0F or ord(c) >= 0x1F000 for c in fixed)
    return fixed if plain else text
