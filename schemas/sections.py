"""A recipe as frozen values, section by section. Names and defaults match recipe.schema.json (a test compares them).

The dicts among the defaults are shared by all recipes: nothing changes them.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Self

from .evaluation_sections import Gate, Generation, Rubric, SamplePrompts
from .generate_sections import Generate, Judge
from .values import built

RecordType = Literal["chat", "classification", "text"]
SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
UTF8 = "utf-8"
AUTO: Literal["auto"] = "auto"


class Model(NamedTuple):
    """The base model."""

    base_model: str
    revision: str | None = None
    chat_template: str = "tokenizer_default"
    end_of_turn: str | None = None
    pad_token: str | None = None
    trust_remote_code: bool = False
    attn_implementation: str | None = None


class Source(NamedTuple):
    """One source of rows. `path` is absolute after loading, or `hf:NAME`, or `generated:rows`."""

    path: str
    converter: str
    options: dict[str, Any] = {}
    weight: float = 1
    split: SplitName | None = None
    limit: int | None = None
    max_words: int | None = None
    revision: str | None = None
    subset: str | None = None
    hub_split: str = "train"
    ignore_keys: tuple[str, ...] = ()
    encoding: str = UTF8
    columns: tuple[str, ...] = ()
    skip_lines: int = 0
    field: str | None = None


class Split(NamedTuple):
    """How rows are divided, as shares of the rows."""

    validation: float = 0.1
    test: float = 0
    seed: int = 42
    group_by: tuple[str, ...] = ()
    stratify_by: str | None = None


class Data(NamedTuple):
    """The rows to train on and to hold out."""

    type: RecordType
    sources: tuple[Source, ...]
    system_prompt: str | None = None
    labels: tuple[str, ...] | None = None
    split: Split = Split()
    dedup: Literal["exact", "near", "none"] = "exact"
    near_threshold: float = 0.7
    max_dropped: float = 0
    check_leaks: Literal["exact", "near", "none"] = "exact"
    fix_mojibake: bool = True
    system_role: Literal["keep", "fold"] = "keep"
    reasoning: Literal["keep", "drop"] = "keep"
    whitespace: Literal["keep", "trim"] = "trim"

    def has_split(self, split: SplitName) -> bool:
        """Return whether rows are held out for validation or test: a share of all, or those of a source."""
        share = self.split.test if split == "test" else self.split.validation
        return share > 0 or any(source.split == split for source in self.sources)

    @property
    def has_splits(self) -> bool:
        """Return whether rows may go to more than one split."""
        return self.split.validation > 0 or self.split.test > 0 or any(source.split for source in self.sources)

    @property
    def compares_near(self) -> bool:
        """Return whether near-duplicates are searched for."""
        return "near" in (self.dedup, self.check_leaks)


class Training(NamedTuple):
    """How the weights are trained; the names are Axolotl's."""

    adapter: Literal["qlora", "lora", "none"]
    learning_rate: float
    # adapter
    lora_r: int = 16
    lora_alpha: float = 32
    lora_dropout: float = 0.05
    lora_target_modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    load_in_8bit: bool = False
    # rows
    sequence_len: int = 2048
    excess_length_strategy: Literal["raise", "drop", "truncate"] = "raise"
    sample_packing: bool = False
    group_by_length: bool = False
    train_on_inputs: bool = False
    roles_to_train: tuple[str, ...] = ("assistant",)
    # steps
    micro_batch_size: int | Literal["auto"] = 1
    gradient_accumulation_steps: int | None = None
    global_batch_size: int | None = None
    num_epochs: float = 1
    max_steps: int | None = None
    # optimizer
    lr_scheduler: str = "cosine"
    warmup_ratio: float | None = None
    warmup_steps: int | None = None
    optimizer: str = "adamw_torch"
    weight_decay: float = 0
    adam_beta1: float | None = None
    adam_beta2: float | None = None
    adam_epsilon: float | None = None
    max_grad_norm: float = 1
    # precision
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    gradient_checkpointing: bool = False
    kernels: Literal["auto", "off"] = "auto"
    seed: int = 42
    deterministic: bool = False
    # logging and checkpoints
    logging_steps: int = 1
    eval_steps: int | None = None
    save_steps: int | None = None
    save_total_limit: int = 2
    early_stopping_patience: int | None = None
    metric_for_best_model: str = "eval_loss"
    load_best_model_at_end: bool = False
    class_weights: Literal["balanced"] | dict[str, float] | None = None
    trackers: tuple[str, ...] = ()
    tracker_project: str | None = None
    tracker_run_name: str | None = None

    @property
    def weight_bits(self) -> int:
        """Return the bits of the quantised base model under an adapter; 0 if it is not quantised."""
        return 4 if self.adapter == "qlora" else 8 if self.load_in_8bit else 0


class Launch(NamedTuple):
    """Where to train and with how many processes."""

    engine: Literal["local", "torchrun", "deepspeed", "slurm", "ray"] = "local"
    num_processes: int = 1
    num_nodes: int = 1
    main_address: str | None = None
    hosts: tuple[str, ...] = ()
    sbatch: dict[str, str | int] = {}
    zero_stage: int | None = None
    offload_optimizer: bool = False
    offload_params: bool = False
    fsdp: bool = False

    @property
    def processes(self) -> int:
        """Return the number of processes on all machines."""
        return self.num_processes * self.num_nodes

    @property
    def is_sharded(self) -> bool:
        """Return whether the processes share what they train: weights, gradients or the optimizer's state."""
        return self.fsdp or bool(self.zero_stage)


class EvaluationSet(NamedTuple):
    """A further set of held-out rows. Without `type`, the type of the data applies."""

    sources: tuple[Source, ...]
    metrics: tuple[str, ...]
    type: RecordType | None = None
    labels: tuple[str, ...] = ()
    max_rows: int | None = None
    max_new_tokens: int | None = None
    max_dropped: float = 0
    gates: dict[str, Gate] = {}


class Evaluation(NamedTuple):
    """What is measured on held-out rows."""

    metrics: tuple[str, ...] = ("perplexity",)
    labels: tuple[str, ...] = ()
    seen_by: str | None = None
    split: Literal["validation", "test"] | None = None
    max_rows: int | None = None
    also: dict[str, EvaluationSet] = {}
    generation: Generation = Generation()
    judge: Judge | None = None
    rubric: Rubric | None = None
    prompts: SamplePrompts | None = None
    logit_lens: tuple[str, ...] = ()
    blimp: str | None = None
    sentiment_model: str | None = None
    sentiment_prompts: str | None = None
    gates: dict[str, Gate] = {}
    confidence: float = 0.95


class Export(NamedTuple):
    """What to do with the trained weights."""

    merge: bool = False
    push_to_hub: str | None = None


class Recipe(NamedTuple):
    """One experiment. There is no field `extends`: loading resolves it."""

    name: str
    model: Model
    data: Data
    training: Training
    recipe: Literal[1] = 1
    description: str = ""
    variables: dict[str, str] = {}
    generate: Generate | None = None
    launch: Launch = Launch()
    evaluation: Evaluation = Evaluation()
    export: Export = Export()
    smoke: dict[str, Any] = {}
    axolotl: dict[str, Any] = {}
    matrix: dict[str, Any] = {}

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Self:
        """Build from plain values that the schema accepts."""
        return built(cls, values)

    @property
    def evaluation_split(self) -> SplitName:
        """Return the split for the evaluation: the recipe's choice, else test if there is one, else validation."""
        if self.evaluation.split:
            return self.evaluation.split
        return "test" if self.data.has_split("test") else "validation"

    def all_sources(self) -> Iterator[tuple[tuple[str | int, ...], Source, RecordType]]:
        """Yield every source with its key path and the type of its records: those of the data, then those of the evaluation sets."""
        for number, source in enumerate(self.data.sources):
            yield ("data", "sources", number), source, self.data.type
        for name, found in self.evaluation.also.items():
            for number, source in enumerate(found.sources):
                yield ("evaluation", "also", name, "sources", number), source, found.type or self.data.type

    def of_set(self, name: str) -> "Recipe":
        """Return the recipe for one evaluation set: all rows of its sources are held out, repaired as in the data section."""
        found, data, whole = self.evaluation.also[name], self.data, self.evaluation
        kind = found.type or data.type
        data = data._replace(
            type=kind, sources=tuple(source._replace(split="test") for source in found.sources), max_dropped=found.max_dropped,
            split=Split(validation=0), dedup="exact", check_leaks="none", system_prompt=data.system_prompt if kind == "chat" else None,
            labels=data.labels if kind == "classification" else None,
        )  # fmt: skip
        generation = whole.generation._replace(max_new_tokens=found.max_new_tokens or whole.generation.max_new_tokens)
        evaluation = Evaluation(
            metrics=found.metrics, labels=found.labels, max_rows=found.max_rows, gates=found.gates,
            generation=generation, confidence=whole.confidence,
        )  # fmt: skip
        return self._replace(data=data, evaluation=evaluation)
