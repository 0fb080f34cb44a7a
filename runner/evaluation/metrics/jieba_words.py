"""Words of a text as EmoLLM's evaluation takes them: blanks removed, then jieba's segmentation."""

import logging
from functools import cache, lru_cache
from tempfile import TemporaryDirectory
from typing import Any


@cache
def segmenter() -> Any:
    """jieba's tokenizer, built once a process (a second). Its own cache would be a file in the shared /tmp that anybody may write."""
    import jieba

    jieba.setLogLevel(logging.WARNING)
    tokenizer: Any = jieba.Tokenizer()
    with TemporaryDirectory() as folder:
        tokenizer.tmp_dir = folder
        tokenizer.initialize()
    return tokenizer


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """The words; one empty word for an empty text, as `" ".join(words).split(" ")` has it."""
    return tuple(" ".join(segmenter().cut(text.replace(" ", ""))).split(" "))
