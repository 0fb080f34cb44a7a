"""Which metrics there are and which record types have them. What each measures: runner/metrics.py."""

METRICS: dict[str, tuple[str, ...]] = {
    "perplexity": ("chat", "text"),
    "token_accuracy": ("chat", "text"),
    "stop_rate": ("chat",),
    "reply_tokens": ("chat",),
    "repetition": ("chat",),
    "token_reduction": ("chat",),
    "emoji_rate": ("chat",),
    "accuracy": ("classification",),
    "macro_f1": ("classification",),
}
