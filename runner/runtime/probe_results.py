"""The types of the probes' results, and of a data set's diversity, in metrics.json."""

from typing import NotRequired, TypedDict


class Answer(TypedDict, total=False):
    """A model's answer to a sample prompt: a reply, a label with its probability, or an error."""

    prompt: str
    reply: str
    finish_reason: str
    reply_tokens: int
    label: str
    probability: float
    probabilities: dict[str, float]
    tokens: int
    tokens_seen: int
    error: str


class Likeliest(TypedDict):
    """The likeliest next token, with its probability."""

    token: str
    p: float


class LensPrompt(TypedDict):
    """A prompt's last tokens, and what each layer says after each of them."""

    prompt: str
    tokens: list[str]
    layers: list[list[Likeliest]]


class LensOf(TypedDict):
    """The logit lens of both models, for the same prompts."""

    base: list[LensPrompt]
    tuned: list[LensPrompt]


class ModelSentiment(TypedDict):
    """Replies by the emotion of the prompt and of the reply."""

    counts: dict[str, dict[str, int]]
    without_reply: int


class Sampling(TypedDict):
    """How replies were generated: the recipe's evaluation.generation."""

    max_new_tokens: int
    temperature: float
    top_p: float
    seed: int
    batch_size: int


class SamplePrompts(TypedDict):
    """Each model's answers to the sample prompts, in order, and how they were generated; `generation` is None for labels."""

    system: str | None
    generation: Sampling | None
    base: NotRequired[list[Answer]]
    tuned: list[Answer]


class Diversity(TypedDict):
    """What runner/evaluation/diversity.py measures of texts; None if it is not measurable."""

    texts: int
    sampled: int
    distinct: int
    mean_words: float | None
    distinct_1: float | None
    distinct_2: float | None
    nearest: float | None
    compared: int


class RightPairs(TypedDict):
    """In which minimal pairs each model is right: for each file, in its order."""

    key: str
    base: dict[str, list[bool]]
    tuned: dict[str, list[bool]]


class ReplyEmotions(TypedDict):
    """The emotions of prompts and of each model's replies to them, None without a reply."""

    key: str
    base: list[tuple[str, str | None]]
    tuned: list[tuple[str, str | None]]
    rows_without_emotion: int
