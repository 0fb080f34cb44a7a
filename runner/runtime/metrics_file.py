"""The types of an evaluation's metrics.json."""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec

from .probe_results import Diversity, LensOf, ModelSentiment, SamplePrompts

ModelName = Literal["base", "majority", "mentioned", "tfidf", "tuned", "reference"]


class Losses(TypedDict):
    """The losses of the last epoch's steps, of the weights that were kept, and the lowest; None if none was logged."""

    train_loss: float | None
    validation_loss: float | None
    best_validation_loss: float | None


class EstimateFacts(TypedDict):
    """A number with its interval; null if it cannot be measured."""

    value: float | None
    low: float | None
    high: float | None


class DifferenceFacts(EstimateFacts):
    """The tuned model minus the baseline."""

    p_value: float | None
    significant: bool


class MetricFacts(TypedDict):
    """How to read a metric. `higher_is_better` is None if neither direction is better."""

    unit: str
    higher_is_better: bool | None


class GateFacts(TypedDict):
    """A gate's limits and outcome. `decided`: the whole interval is on one side of the limits; None for a loss.

    `regression`: how much worse than the base model the tuned model is, if the gate limits that.
    """

    value: float | None
    min: float | None
    max: float | None
    max_regression: float | None
    regression: EstimateFacts | None
    passed: bool
    decided: bool | None


class Scores(TypedDict):
    """Each metric for each model, over the same rows."""

    rows: int
    confidence: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    baseline: ModelName
    models: dict[ModelName, dict[str, EstimateFacts]]
    differences: dict[str, DifferenceFacts]
    metrics: dict[str, MetricFacts]


class Blimp(TypedDict):
    """Minimal pairs: how many each file has, and the percentage of right ones: the mean over files, and each file."""

    source: str
    pairs: dict[str, int]
    mean: Scores
    files: Scores


class Sentiment(TypedDict):
    """The sentiment of both models' replies, by a classifier: a table for each group of prompts."""

    classifier: str
    rows_without_emotion: int
    prompts: str | None
    models: dict[str, ModelSentiment]
    groups: dict[str, Scores]


class EvaluatedWith(TypedDict):
    """The versions and the machine of the evaluation, which may differ from those of the training; `bits` of the base model's weights, 0
    if they were not quantised."""

    packages: dict[str, str]
    machine: dict[str, Any]
    bits: int


class LabelFacts(TypedDict):
    """A label's scores from 0 to 1, and in how many rows it is the true and the predicted one."""

    label: str
    precision: float
    recall: float
    f1: float
    rows: int
    predicted: int


class LetterScores(TypedDict):
    """Scores of a letter of labels that consist of letters, from 0 to 1."""

    accuracy: float
    f1: float
    precision: float
    recall: float


class SetMetrics(Scores):
    """The numbers of one set of rows, with its gates; for labels, the confusion matrix."""

    split: str
    gates: dict[str, GateFacts]
    labels: NotRequired[list[str]]
    confusion: NotRequired[list[list[int]]]
    confusion_has_invalid: NotRequired[bool]
    notes: NotRequired[list[str]]
    by_label: NotRequired[dict[ModelName, list[LabelFacts]]]
    calibration_error: NotRequired[dict[ModelName, float]]
    dimensions: NotRequired[dict[ModelName, dict[str, LetterScores]]]


class JudgeFacts(TypedDict):
    """A judge of a rubric. `unread` answers had no valid scores, `failed` requests got no reply, `redacted` answers contained what looks
    like a secret."""

    model: str
    judged: int
    unread: int
    failed: int
    redacted: int


class Agreement(TypedDict):
    """Krippendorff's alpha of the judges over replies with several scores; null if it is undefined."""

    alpha: float | None
    low: float | None
    high: float | None
    replies: int


class RubricMetrics(SetMetrics):
    """The judges' scores by criterion."""

    criteria: dict[str, str]
    judges: list[JudgeFacts]
    agreement: dict[str, Agreement]


class AsTrained(TypedDict):
    """Scores of the trainer's validation, with the number of bits of the base model's weights."""

    bits: int
    scores: dict[str, float]


class DiagnosisFacts(TypedDict):
    """How the training went."""

    state: str
    sentence: str


class SingleJudge(JudgeFacts):
    """The judge of evaluation.judge, its prompt, and the limits of its scores."""

    prompt: str
    scales: dict[str, tuple[float, float]]


class Metrics(SetMetrics):
    """The numbers of an evaluation; `also` are those of further sets. `as_trained` is set if training quantised the base model."""

    base_model: str
    generation: dict[str, Any]
    evaluated_with: EvaluatedWith
    losses: Losses
    diagnosis: DiagnosisFacts
    as_trained: NotRequired[AsTrained]
    slices: NotRequired[dict[str, Scores]]
    also: NotRequired[dict[str, SetMetrics]]
    diversity: NotRequired[dict[str, Diversity]]
    lens: NotRequired[LensOf]
    blimp: NotRequired[Blimp]
    sentiment: NotRequired[Sentiment]
    prompts: NotRequired[SamplePrompts]
    judge: NotRequired[SingleJudge]
    rubric: NotRequired[RubricMetrics]
