"""Parts of the evaluation section as frozen values. Names and defaults match recipe.schema.json (a test compares them).

Also how a reply is compared with the labels of `evaluation.labels`.
"""

from typing import Literal, NamedTuple

from .generate_sections import Limits, Provider


class Generation(NamedTuple):
    """How replies are generated for the evaluation."""

    max_new_tokens: int = 256
    temperature: float = 0
    top_p: float = 1
    batch_size: int = 8
    seed: int = 42


class SamplePrompts(NamedTuple):
    """Prompts whose replies are shown, in the recipe or in a file. `generation` None: the evaluation's settings."""

    texts: tuple[str, ...] = ()
    path: str | None = None
    generation: Generation | None = None


class Gate(NamedTuple):
    """A limit on a metric of the tuned model; `max_regression` limits how much worse than the base model it may be."""

    min: float | None = None
    max: float | None = None
    max_regression: float | None = None


class Criterion(NamedTuple):
    """A question to the judges about a reply."""

    text: str
    scale: Literal["yes_no", "1_to_5"] = "yes_no"


class Rubric(NamedTuple):
    """Criteria of the recipe, and the models that judge by them. `limits` apply to each judge."""

    criteria: dict[str, Criterion]
    judges: tuple[Provider, ...] = ()
    max_new_tokens: int = 256
    limits: Limits | None = None
    gates: dict[str, Gate] = {}


_AROUND = (
    " \t\n\r.,;:!?\"'`*_“”‘’„‚«»‹›()[]{}…¡¿"
    "。！？，；：、「」『』【】《》（）［］"
    "؟،؛۔।॥\u00a0\u3000\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
)


def label_form(text: str) -> str:
    """Return the form in which a reply and its label are equal: in one case and Unicode form, without quotes and punctuation around it. A
    label of punctuation alone, such as `:)`, keeps it."""
    from unicodedata import normalize  # most recipes have no labels

    return normalize("NFC", text.strip(_AROUND) or text.strip()).casefold()


def without_reasoning(reply: str) -> str:
    """Return the reply without the reasoning before it, `<think>...</think>`, which is not part of the answer."""
    return reply.split("</think>", 1)[1].lstrip() if reply.lstrip().startswith("<think>") and "</think>" in reply else reply


def answer_of(reply: str) -> str:
    """Return a model's reply without its reasoning, also where the chat template, and not the reply, has begun it with `<think>`."""
    before, end, _ = reply.partition("</think>")
    return without_reasoning(f"<think>{reply}" if end and "<think>" not in before else reply)
