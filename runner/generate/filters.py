"""Filter usable texts by length, ending, blacklist, and novelty by ROUGE-L against every kept text.

rouge-score, which the source used, only knows a-z and 0-9 and ignores Chinese; here a Chinese character is a word. rapidfuzz computes the
longest common subsequence; length or word counts rule out most pairs first.
"""

import re
from collections import Counter

from rapidfuzz.distance import LCSseq

from ...converters.sources.emogpt import is_terminated
from ...converters.sources.emollm import REFUSAL
from ...schemas.base.counted import counted
from ...schemas.base.words import CJK
from ...schemas.generate_sections import Filters
from ..providers.requests import Reply
from .outcomes import Rejected

_WORD = re.compile(rf"[{CJK}]|[^\W_{CJK}]+(?:['’][^\W_{CJK}]+)*")  # can't is one word


def words(text: str) -> list[str]:
    """Return the words of a text in lower case; a Chinese, Japanese or Korean character is a word."""
    return _WORD.findall(text.lower())


class TextFilter:
    """The filters of a recipe. It remembers the words of kept texts."""

    def __init__(self, filters: Filters) -> None:
        self.filters = filters
        self.kept: list[tuple[list[str], Counter[str]]] = []
        self.banned = [re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE) if word.isascii()
                       else re.compile(re.escape(word)) for word in filters.blacklist]  # fmt: skip

    def fault(self, text: str) -> Rejected | None:
        """Return why the text is rejected; None keeps it, and compares later texts with it."""
        tokens = words(text)
        filters = self.filters
        if filters.min_words and len(tokens) < filters.min_words:
            return Rejected("too_short", f"{counted(len(tokens), 'word')}, at least {filters.min_words} required")
        if filters.max_words and len(tokens) > filters.max_words:
            return Rejected("too_long", f"{counted(len(tokens), 'word')}, at most {filters.max_words} allowed")
        if filters.require_terminal and not is_terminated(text):
            return Rejected("unterminated", f"ends with {text[-20:]!r}")
        if found := next((match for pattern in self.banned if (match := pattern.search(text))), None):
            return Rejected("blacklisted", found.group())
        if filters.max_similarity is not None:
            if (likeness := self._likeness(tokens)) > filters.max_similarity:
                return Rejected("not_novel", f"ROUGE-L {likeness:.2f} with a kept text")
            self.kept.append((tokens, Counter(tokens)))
        return None

    def _likeness(self, tokens: list[str]) -> float:
        """Return the first ROUGE-L with a kept text beyond the limit, else 0."""
        limit, bag = self.filters.max_similarity or 0.0, Counter(tokens)
        for other, other_bag in self.kept:
            both = len(tokens) + len(other)
            if not both or 2 * min(len(tokens), len(other)) <= limit * both or 2 * (bag & other_bag).total() <= limit * both:
                continue
            if (likeness := 2 * LCSseq.similarity(tokens, other) / both) > limit:
                return likeness
        return 0.0


_START = 160  # a refusal comes first; later, the same words may be part of the text
_MORE = re.compile(
    r"^\W*(i['’]?m (very |so |really )?sorry|i apologi[sz]e|sorry)[,.! ]+(but )?(i|this|that)\b"
    r".{0,40}?\b(can['’]?t|cannot|can not|unable|won['’]t|not able)\b"
    r"|^\W*i (can['’]?t|cannot|am unable to|am not able to|won['’]t) (assist|help|provide|generate|create|comply|continue|write|engage)\b"
    r"|^\W*as an? (ai|artificial intelligence|(large )?language model)\b",
    re.IGNORECASE,
)


def unusable(reply: Reply, refusals_are_answers: bool, keep_cut: bool) -> Rejected | None:
    """Return why the reply cannot be used in any task: refused, empty or cut off; None if it can."""
    start = reply.text.strip()[:_START]
    if reply.finish == "content_filter":
        return Rejected("refused", "the provider's content filter")
    if not start:
        return Rejected("empty")
    if not refusals_are_answers and (match := REFUSAL.search(start) or _MORE.search(start)):
        return Rejected("refused", match.group()[:60])
    if reply.finish == "length" and not keep_cut:
        return Rejected("cut", f"at {counted(reply.completion_tokens, 'token')}: raise sampling.max_new_tokens, or set filters.keep_cut")
    return None
