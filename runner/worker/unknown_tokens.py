"""Find the words that a tokenizer has no token for: the model reads `[UNK]` in their place."""

from collections.abc import Iterable, Sequence
from typing import Any

WORDS_SHOWN = 8


def unknown_words(tokenizer: Any, rows: Iterable[tuple[str, str, Sequence[int]]]) -> dict[str, list[str]]:
    """Return the ids of rows whose tokens have an unknown one, with the first words that it replaces. A row is (id, text, its tokens)."""
    unknown, found = getattr(tokenizer, "unk_token_id", None), {}
    for name, text, ids in rows:
        if unknown is not None and unknown in ids:
            encoded = tokenizer(text, return_offsets_mapping=tokenizer.is_fast, verbose=False)
            places = zip(encoded["input_ids"], encoded.get("offset_mapping") or [(0, 0)] * len(encoded["input_ids"]), strict=True)
            words = [text[start:end] for number, (start, end) in places if number == unknown and text[start:end] != tokenizer.unk_token]
            if words:
                found[name] = words[:WORDS_SHOWN]
    return found
