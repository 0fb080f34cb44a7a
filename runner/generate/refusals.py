"""Whether a reply is a refusal, or nothing: the first look at what a model said, before the task reads it."""

import re

from ...converters.sources.emollm import REFUSAL
from .provider_requests import Reply, Unusable

_START = 160  # a refusal refuses at once; later the same words are part of what was asked for
_MORE = re.compile(
    r"^\W*(i['’]?m (very |so |really )?sorry|i apologi[sz]e|sorry)[,.! ]+(but )?(i|this|that)\b"
    r".{0,40}?\b(can['’]?t|cannot|can not|unable|won['’]t|not able)\b"
    r"|^\W*i (can['’]?t|cannot|am unable to|am not able to|won['’]t) (assist|help|provide|generate|create|comply|continue|write|engage)\b"
    r"|^\W*as an? (ai|artificial intelligence|(large )?language model)\b",
    re.IGNORECASE,
)


def unusable(reply: Reply, refusals_are_answers: bool, keep_cut: bool) -> Unusable | None:
    """Why the reply cannot be used whatever it was asked for: refused, empty, or cut at its longest; None when it can."""
    start = reply.text.strip()[:_START]
    if reply.finish == "content_filter":
        return Unusable("refused", "the provider's content filter")
    if not start:
        return Unusable("empty")
    if not refusals_are_answers and (said := REFUSAL.search(start) or _MORE.search(start)):
        return Unusable("refused", said.group()[:60])
    if reply.finish == "length" and not keep_cut:
        return Unusable("cut", f"at {reply.completion_tokens} tokens: raise sampling.max_new_tokens, or set filters.keep_cut")
    return None
