"""Names of text encodings, as Python knows them."""

import codecs

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
    import difflib
    from encodings.aliases import aliases

    near = difflib.get_close_matches(name.lower().replace("-", "_"), [*aliases, *aliases.values()], n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else "use a name that Python knows, e.g. cp1252, gb18030, shift_jis, utf-16"
