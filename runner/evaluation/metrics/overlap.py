"""Overlap of generated replies with the data's own: BLEU and ROUGE over words, computed like EmoLLM's evaluate/metric.py.

Words are jieba's in Chinese, which has no spaces, and end at spaces elsewhere: without them, a whole English reply would be one word.
Both are means over rows of sentence scores from 0 to 100. EmoLLM's published table is measured on training rows: compare with it only as an
upper bound.
"""

import logging
import re
import sys
from functools import cache, lru_cache
from importlib import import_module
from tempfile import TemporaryDirectory
from typing import Any

from ....schemas.base.words import CJK
from . import Prediction, register_metric

ORDERS = (1, 2, 3, 4)
_IDLE = re.compile(rf" +(?=[{CJK}])|(?<=[{CJK}]) +")  # a space within Chinese ends no word
ROUGE = {"rouge_1": "rouge-1", "rouge_2": "rouge-2", "rouge_l": "rouge-l"}  # metric -> the package's key


@cache
def segmenter() -> Any:
    """Return jieba's tokenizer, built once per process (a second). Its own cache would be a file in the shared /tmp that anybody can
    write."""
    import jieba

    jieba.setLogLevel(logging.WARNING)
    tokenizer: Any = jieba.Tokenizer()
    with TemporaryDirectory() as folder:
        tokenizer.tmp_dir = folder
        tokenizer.initialize()
    return tokenizer


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """Return the text's words, without spaces; one empty word for an empty text, as with `" ".join(words).split(" ")`."""
    return tuple(word for word in segmenter().cut(_IDLE.sub("", text)) if word != " ") or ("",)


@lru_cache(maxsize=8192)
def bleu_scores(reply: str, reference: str) -> tuple[float, ...]:
    """Return a row's BLEU for each of ORDERS; 0 for an empty reply.

    nltk's `sentence_bleu` with smoothing method 1 and the weights (1/n, ...) up to n-grams of that order (Papineni et al. 2002; Chen and
    Cherry 2014), not a corpus BLEU.
    """
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    if not reply.strip():
        return (0.0,) * len(ORDERS)
    weights = [tuple(1 / order for _ in range(order)) for order in ORDERS]
    scores: Any = sentence_bleu([list(words(reference))], list(words(reply)), weights, SmoothingFunction().method1)
    return tuple(100 * float(score) for score in scores)


@lru_cache(maxsize=8192)
def rouge_scores(reply: str, reference: str) -> dict[str, float]:
    """Return a row's F scores from the package `rouge` 1.0; 0 for a text without words, which the package rejects.

    n-grams count once, however often they occur, and ROUGE-L is at summary level (Lin 2004): these differ from the numbers of
    `rouge-score`, which counts repeated n-grams.
    """
    package: Any = import_module("rouge")
    texts = [" ".join(words(text)) for text in (reply, reference)]
    if not all(text.replace(".", "").strip() for text in texts):
        return dict.fromkeys(ROUGE.values(), 0.0)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(
        before + sum(map(len, texts))
    )  # the package computes a longest common subsequence by recursion, one level per word
    try:
        scores = package.Rouge().get_scores(*texts)[0]
    finally:
        sys.setrecursionlimit(before)
    return {key: 100 * float(score["f"]) for key, score in scores.items()}


def _register_bleu(order: int) -> None:
    @register_metric(f"bleu_{order}", higher_is_better=True, needs_reply=True)
    def bleu(row: Prediction) -> tuple[float, float]:
        return bleu_scores(row.reply, row.reference)[order - 1], 1


def _register_rouge(name: str, key: str) -> None:
    @register_metric(name, higher_is_better=True, needs_reply=True)
    def rouge(row: Prediction) -> tuple[float, float]:
        return rouge_scores(row.reply, row.reference)[key], 1


for _order in ORDERS:
    _register_bleu(_order)
for _name, _key in ROUGE.items():
    _register_rouge(_name, _key)
