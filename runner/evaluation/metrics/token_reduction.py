"""Token reduction: the percentage of cl100k_base tokens that replies save against the originals before the rewrite (EmoGPT). Up to 100.

(sum of original - sum of generated) / sum of original, as the EmoGPT guide defines it, but against `original_tokens`: the guide took
the stored reply, which is already compressed, so that a perfect model scored 0. A reply that does not stop on its own has not become
short, it was cut: it saves nothing.
"""

from . import Prediction, percent
from .cl100k import count_tokens

UNIT = "%"
BETTER = "higher"
NEEDS_REPLY = True
ON_REFERENCE = True

value = percent


def parts(case: Prediction) -> tuple[float, float]:
    """Tokens saved and original tokens; (0, 0) for a row that has no `original_tokens`."""
    if not case.original_tokens:
        return 0, 0
    generated = count_tokens(case.reply)
    saved = case.original_tokens - generated
    return (saved if case.stopped else min(saved, 0)), case.original_tokens
