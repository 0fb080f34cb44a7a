"""Which metrics there are and which record types have them. What each measures: runner/metrics.py."""

METRICS: dict[str, tuple[str, ...]] = {
    "perplexity": ("chat", "text"),
    "token_accuracy": ("chat", "text"),
    "stop_rate": ("chat",),
    "reply_tokens": ("chat",),
    "repetition": ("chat",),
    "token_reduction": ("chat",),
    "emoji_rate": ("chat",),
    "spam_rate": ("chat",),
    "bleu_1": ("chat",),
    "bleu_2": ("chat",),
    "bleu_3": ("chat",),
    "bleu_4": ("chat",),
    "rouge_1": ("chat",),
    "rouge_2": ("chat",),
    "rouge_l": ("chat",),
    "comprehensiveness": ("chat",),
    "professionalism": ("chat",),
    "authenticity": ("chat",),
    "safety": ("chat",),
    "accuracy": ("classification", "chat"),
    "macro_f1": ("classification", "chat"),
    "invalid_rate": ("chat",),
    "level_error": ("chat",),
    "rank_correlation": ("chat",),
}
# Measured on replies only where evaluation.labels says which replies are labels.
OF_LABELS = ("accuracy", "macro_f1", "invalid_rate", "level_error", "rank_correlation")
# Measured where evaluation.judge names a model that judges.
JUDGED = ("comprehensiveness", "professionalism", "authenticity", "safety")
# What a gate may limit beside metrics: the last epoch's mean training loss, and the validation loss of the weights that were kept.
LOSSES = ("train_loss", "validation_loss")
