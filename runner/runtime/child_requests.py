"""What a run asks its child processes to do: the types of the files that they read."""

from typing import Any, NotRequired, TypedDict


class MergeRequest(TypedDict):
    """The folder for the merged model, and the rendered configuration that names base and adapter."""

    folder: str
    config: str


class SetRequest(TypedDict):
    """What to predict on a further evaluation set: its record type, whether replies are generated, and how."""

    key: str
    record_type: str
    generate: bool
    generation: dict[str, Any]


class EvaluationRequest(TypedDict):
    """What the evaluator is asked to do."""

    key: str  # of the predictions: see predictions_key
    generate: bool  # whether replies are generated
    bits: int  # of the base model's weights; 0 if it is not quantised
    generation: dict[str, Any]
    packages: dict[str, str]
    machine: dict[str, Any]
    sets: dict[str, SetRequest]  # further evaluation sets
    complete: NotRequired[bool]  # whether every prediction is written
    evaluation: NotRequired[str]  # the key of the evaluation that the numbers belong to
    base: NotRequired[dict[str, str]]  # the keys of the base model's predictions: on the evaluated rows (""), and on each set


class ProbesRequest(EvaluationRequest):
    """What the probes are asked to do: `asked` has each probe's setting, `keys` the key of each probe that has not been run."""

    keys: dict[str, str]
    asked: dict[str, Any]


class PredictRequest(TypedDict):
    """What `recipe predict` asks its worker to do. `model` is a ModelReference; `rows` of the file's `count` rows can be predicted."""

    key: str
    model: dict[str, Any]
    record_type: str
    settings: dict[str, Any]
    rows: int
    count: int
