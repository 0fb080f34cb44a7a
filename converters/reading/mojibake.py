"""UTF-8 that somebody read as Windows-1252 or MacRoman and saved again: `Itâ€™s fine`, `‚úÖ done`. Mended where nothing is lost by it.

ftfy tells what is wrong. Its answer counts only when it goes all the way back: the repaired text, put through the same mistake, must give
the text that stood there, character by character. What is mixed (a correct emoji in a broken line) therefore stays as it is.
"""

import re
from typing import Any

from ...schemas.base.errors import UserError
from .records import RecordValue

FIXED = "fixed_mojibake"
_MISREAD_AS = ("latin-1", "sloppy-windows-1252", "macroman")


def _images(first: int, last: int) -> str:
    """The characters as which the bytes from first to last appear when they are misread."""
    found = {bytes([byte]).decode(codec, "ignore") for byte in range(first, last + 1) for codec in ("latin-1", "cp1252", "mac_roman")}
    return "".join(map(re.escape, sorted(found)))


# A byte that begins a character of UTF-8, and one that goes on with it: a text without such a pair is none of ours.
_SUSPICIOUS = re.compile(f"[{_images(0xC2, 0xF4)}][{_images(0x80, 0xBF)}]")
# What ftfy leaves alone when it stands alone: symbols and emoji read as MacRoman. No text has them as they stand here.
_SYMBOL = re.compile(f"\uf8ffü|‚[{_images(0x80, 0xBF)}]{{2}}")


def may_be_misread(text: bytes) -> bool:
    """A quick no for most texts in UTF-8; yes says nothing.

    Misread texts have letters and signs of Western Europe, which begin with these bytes; those of symbols alone, of which correct texts
    are full, are not known, but for an à as MacRoman: voil√†. One byte is found five times as fast as three.
    """
    return not text.isascii() and (b"\xc3" in text or b"\xc2" in text or b"\xc5" in text or (b"\x9a" in text and b"\xe2\x88\x9a" in text))


def fix_fields(fields: RecordValue) -> RecordValue:
    """The record's fields with its texts repaired; the same object when there was nothing to repair."""
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
    """The text, repaired as a whole or else line by line, where it can be without a doubt."""
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
        raise UserError("mending mojibake needs the package ftfy", hint="pip install 'recipekit[data]', or fix_mojibake: false") from None
    fixed, steps = ftfy.fix_encoding_and_explain(text)
    misread = [step.parameter for step in steps or () if step.action == "encode"]
    decoded = [step for step in steps or () if step == ("decode", "utf-8")]
    if fixed != text and len(misread) == len(decoded) == len(steps or ()) / 2 and set(misread) <= set(_MISREAD_AS):
        return fixed if _again(fixed, misread) == text else text
    return _symbols(text) if _SYMBOL.search(text) else text


def _again(fixed: str, misread: list[str]) -> str:
    """The fixed text after the same mistakes, the last of which is repaired first."""
    try:
        for codec in reversed(misread):
            fixed = fixed.encode("utf-8").decode(codec)
    except UnicodeError:
        return ""
    return fixed


def _symbols(text: str) -> str:
    """The text read as UTF-8 where all that comes of it are symbols, punctuation and emoji."""
    try:
        fixed = text.encode("mac_roman").decode("utf-8")
    except UnicodeError:
        return text
    plain = all(c.isascii() or 0x2000 <= ord(c) < 0x2C00 or 0xFE00 <= ord(c) <= 0xFE0F or ord(c) >= 0x1F000 for c in fixed)
    return fixed if plain else text
