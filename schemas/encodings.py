"""Names of text encodings, as Python has them."""

import codecs

# What Python calls encodings of text and what no file is written in.
_NONE = frozenset(("idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"))


def is_encoding(name: str) -> bool:
    """Return whether the name stands for an encoding that files are written in."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        return False
    return found._is_text_encoding and found.name not in _NONE  # as str.encode asks; there is no public name for it


def encoding_hint(name: str) -> str:
    """Return what to write instead of a name that is unknown."""
    import difflib
    from encodings.aliases import aliases

    near = difflib.get_close_matches(name.lower().replace("-", "_"), [*aliases, *aliases.values()], n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else "use a name that Python knows, e.g. cp1252, gb18030, shift_jis, utf-16"
