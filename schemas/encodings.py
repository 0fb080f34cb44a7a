"""Names of text encodings, as Python knows them."""

import codecs

from .base.suggestion import did_you_mean

# Text encodings of Python that are not used for files.
_NONE = frozenset(("idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"))


def is_encoding(name: str) -> bool:
    """Return whether the name is an encoding that files are written in."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        return False
    return found._is_text_encoding and found.name not in _NONE  # what str.encode checks; there is no public API for it


def encoding_hint(name: str) -> str:
    """Return a hint for an unknown encoding."""
    from encodings.aliases import aliases

    known = [*aliases, *aliases.values()]
    return did_you_mean(name.lower().replace("-", "_"), known, "use a name that Python knows, e.g. cp1252, gb18030, shift_jis, utf-16")
