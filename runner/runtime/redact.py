"""Keys do not stand in anything that is written or told: they are taken out of every text that came from outside."""

import os
import re
from collections.abc import Iterable

_LOOKS_SECRET = re.compile(r"\b(?:sk|pk|hf|gsk)[-_][A-Za-z0-9_-]{8,}|(?i:bearer)\s+[A-Za-z0-9._~+/:=-]{8,}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY", re.IGNORECASE)
_SHORTEST = 6


def scrub(text: str, keys: Iterable[str] = ()) -> str:
    """The text with `***` for the keys, for every secret of the environment, and for what looks like one."""
    named = {value for name, value in os.environ.items() if _SECRET_NAME.search(name)}
    for value in sorted({*keys, *named}, key=len, reverse=True):
        if len(value) >= _SHORTEST:
            text = text.replace(value, "***")
    return _LOOKS_SECRET.sub("***", text)
