"""The files of a run: their names, and the types of those that are JSON."""

from collections.abc import Callable
from typing import Any, Generic, Literal, NamedTuple, NotRequired, Required, TypedDict, TypeVar

from ...converters.building.manifest import Manifest
from .child_requests import EvaluationRequest, MergeRequest, PredictRequest, ProbesRequest
from .metrics_faults import metrics_fault
from .metrics_file import Metrics
from .probe_results import Answer, RightPairs
from .tokens_file import SplitTokens, tokens_fault

T = TypeVar("T")

RECIPE = "recipe.yml"  # the run's own copy
TRAIN_ROWS = "data/train.jsonl"
PROGRESS = "progress.jsonl"  # events of the child processes
STEP_LOG = "metrics.jsonl"  # loss, learning rate and speed by step
REPORT = "report.html"
EVALUATION = "eval"
EVALUATING = "evaluating"  # the folder of an unfinished evaluation; it replaces EVALUATION when it is complete
SETS = "sets"  # further evaluation sets: their records in the run's directory, their predictions in the evaluation's
ROWS = "rows.jsonl"  # the evaluated rows, in the folder of an evaluation or of one of its sets; the rows to predict, in a prediction's
PREDICTIONS = "predictions.jsonl"  # the base and the tuned model's, next to ROWS
EVALUATION_CONFIG = f"{EVALUATING}/axolotl.yml"  # rendered for this machine, which may differ from the one that trained
MASKS = "masks.jsonl"  # the first training rows as trained and masked text, in the folder of an evaluation
PREDICTED = "predicted.jsonl"  # in the folder of a prediction

State = Literal["running", "submitted", "done", "failed", "interrupted", "refused"]


class RunFile(NamedTuple, Generic[T]):
    """`name` is the file's path in the run's directory. RunFolder reads and writes it, and refuses values of another type, and those in
    which `fault` finds something wrong.

    Texts are redacted when they are written, except the values of the keys `exact` at any depth, which are the user's own, are compared
    later, or name files to open.
    """

    name: str
    type: type[T]
    exact: tuple[str, ...] = ()
    fault: Callable[[T], str] = lambda _: ""


def _request(name: str, form: type[T]) -> RunFile[T]:
    """Return the file of a request to a child process, which must get it unchanged."""
    return RunFile(name, form, tuple(form.__annotations__))


class Status(TypedDict, total=False):
    """The state of the run. `stages` has the key of each completed stage, `file` is the recipe's path, times are Unix seconds: `started` is
    that of the newest process, `spent` the seconds of those before it. `edited` are changed files accepted by `recipe verify --accept`."""

    state: Required[State]
    reason: str
    stages: dict[str, str]
    recipe: str
    file: str
    smoke: bool
    started: float
    spent: float
    updated: float
    finished: float
    reproduces: str
    edited: list[str]


class LockedModel(TypedDict):
    """The base model: a ResolvedModel."""

    path: str
    identity: str
    note: str


class LockedMachine(TypedDict):
    """The machine that trained: a Machine. Memory is in bytes."""

    device: str
    gpus: int
    gpu_name: str
    gpu_memory: int
    fast_bf16: bool
    memory: int
    cores: int
    has_liger: bool
    has_compiler: NotRequired[bool]


class LockedBatch(TypedDict):
    """How the rows of an optimizer step are divided, and who says so: the key of the recipe, or why this size was chosen."""

    micro_batch_size: int
    gradient_accumulation_steps: int
    processes: int
    why: str


class Lock(TypedDict):
    """What the training depends on besides the recipe: versions, base model, machine, batch. `train_key` is the training's key,
    `variables` are the values of the variables that the recipe declares."""

    recipekit: str
    python: str
    packages: dict[str, str]
    variables: dict[str, str]
    model: LockedModel
    machine: LockedMachine
    batch: LockedBatch
    train_key: str


class SmokeKeys(TypedDict):
    """The keys that a smoke run changed: key -> {"full": its value in the full run, "smoke": its value in the smoke run}."""

    keys: dict[str, Any]


class TrainingEnd(TypedDict):
    """How many optimizer steps were taken and planned, and why they differ."""

    steps: int
    planned_steps: int
    reason: str


class MemoryForecast(TypedDict):
    """The predicted memory of the training, in bytes."""

    needed: int  # of all `processes` that share the device
    most: int  # the same if the prediction is as wrong as any published one
    available: int
    processes: int
    gpus: int  # each of which needs this; 0 on a CPU
    tokens: int  # the prediction is for so many tokens
    per: str  # in a row, or in a forward pass of rows without padding
    parts: dict[str, int]
    device: str
    taken: NotRequired[int]  # what other programs use of the fullest GPU
    taken_of_first: NotRequired[int]  # and of the first process's


class DiskForecast(TypedDict):
    """Disk space in bytes."""

    needed: int
    available: int
    parts: dict[str, int]


class FitForecast(TypedDict):
    """The predicted needs of the training, once the rows' lengths are known. On a GPU, `evaluation` is the memory of the evaluation, and
    `main_memory` that of the machine; on a CPU they are 0."""

    memory: MemoryForecast
    disk: DiskForecast
    trained_parameters: int
    evaluation: int
    main_memory: DiskForecast


class KernelFacts(TypedDict):
    """What computed each part of a training on a GPU, and why: `part`, `used`, `why`, `problem` of each."""

    kernels: list[dict[str, Any]]


class PeakMemory(TypedDict):
    """The peak in bytes: of all processes together on a CPU, otherwise of the first process's GPU; with the prediction."""

    device: str
    peak: int
    predicted: MemoryForecast | None


class PredictedTime(TypedDict):
    """What a training was predicted to take."""

    tokens: int
    seconds: float
    source: str


class Timing(TypedDict):
    """How long a training took: tokens and seconds of its first process. `whole`: it was neither resumed nor stopped early."""

    method: dict[str, Any]
    tokens_per_byte: float
    steps: int
    tokens: int
    seconds: float
    whole: bool
    resumed: bool
    predicted: PredictedTime | None


class SlurmJob(TypedDict):
    """The job's number."""

    job: int


class LaunchCommand(TypedDict):
    """The command for the first of several machines. `holder` is the process that holds the run, `nodes` the number of machines."""

    argv: list[str]
    env: dict[str, str]
    holder: str
    nodes: int


class MergeResult(TypedDict):
    """`largest_difference` is between the logits of the merged model and of base plus adapter, as a share of the largest logit."""

    base_model: str
    dtype: str
    largest_difference: float
    rows_compared: int


class PromptAnswers(TypedDict):
    """Each model's answers to the sample prompts, in order. A classifier has no base model: its head was random."""

    key: str
    base: NotRequired[list[Answer]]
    tuned: list[Answer]


_OWN = ("labels", "by_label", "prompts", "lens")  # two labels with one mask would be one label
STATUS = RunFile("status.json", Status, ("stages", "file", "reproduces", "edited"))
ORIGINS = RunFile("origins.json", dict[str, str])  # the location in the recipe, or the --set, of every key
SMOKE_KEYS = RunFile("smoke.json", SmokeKeys)
GENERATED_MANIFEST = RunFile("generated/manifest.json", dict[str, Any])
MANIFEST = RunFile("data/manifest.json", Manifest)
LOCK = RunFile("lock.json", Lock, ("recipekit", "python", "packages", "model", "machine", "batch", "train_key"))
TOKENS = RunFile("tokens.json", dict[str, SplitTokens], _OWN, fault=tokens_fault)  # the label audit of each split
TRAINING_END = RunFile("training.json", TrainingEnd)
FIT_FORECAST = RunFile("fit.json", FitForecast)
KERNELS = RunFile("kernels.json", KernelFacts)
PEAK_MEMORY = RunFile("memory.json", PeakMemory)
TIMING = RunFile("timing.json", Timing)
SLURM_JOB = RunFile("slurm.json", SlurmJob)
LAUNCH_COMMAND = _request("launch.json", LaunchCommand)
EVALUATION_REQUEST = _request(f"{EVALUATING}/request.json", EvaluationRequest)
LAST_REQUEST = _request(f"{EVALUATION}/request.json", EvaluationRequest)
PROBES_REQUEST = _request(f"{EVALUATING}/probes_request.json", ProbesRequest)
NEW_METRICS = RunFile(f"{EVALUATING}/metrics.json", Metrics, _OWN, metrics_fault)
METRICS = RunFile(f"{EVALUATION}/metrics.json", Metrics, _OWN, metrics_fault)
REVIEW = RunFile("review/pairs.json", dict[str, Any], ("review", "pairs"))  # the pairs shown to people, and which model wrote which reply
RIGHT_PAIRS = RunFile(f"{EVALUATION}/blimp.json", RightPairs)
MERGE_REQUEST = _request("merge_request.json", MergeRequest)
MERGE_RESULT = RunFile("merge.json", MergeResult)  # in the folder of the merged model
PREDICT_REQUEST = _request("request.json", PredictRequest)  # in the folder of the prediction
