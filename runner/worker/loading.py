"""Load trained and base models in one way: for evaluation, merge, chat, serve, classification and probes.

What is measured is what is served, because nothing else calls `from_pretrained`.
"""

import logging
import warnings
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from ...converters.building.hub_client import limit_hub_client
from ...schemas.base.errors import Location, Problem, UserError, first_line
from ..models.architecture import Architecture, architecture, left_out, positions_of
from ..models.folder_check import check_model_folder
from ..models.hub import require_weights
from ..models.reference import ATTENTION, ModelReference
from ..models.size import model_size
from ..resources.evaluation_memory import evaluated_bits
from ..runtime.machine import this_machine
from .gpu import fastest_dtype
from .model_checks import has_sdpa, missing_weights, remember_missing_weights
from .tokenization import prompt_ids, rendering
from .tokenizers import damage_as_os_error

Head = Literal["causal", "classification"]
_ITS_MODEL = "load it on the model that it was trained on"
ADAPTER_WEIGHTS = "adapter_model.safetensors"


class LoadedModel(NamedTuple):
    """A model with its tokenizer. `context` is the maximum number of tokens of a prompt and its reply; `labels` are those of a
    classification head; `is_tuned`: a run trained it.
    """

    name: str
    model: Any
    tokenizer: Any
    stop_ids: frozenset[int]
    pad_id: int
    context: int
    device: str
    labels: tuple[str, ...] = ()
    is_tuned: bool = False

    def prompt_ids(self, messages: list[dict[str, str]]) -> list[int]:
        """Return the chat in the model's template, up to the start of the reply; for a tuned model, as in its training.

        Raises RefusedMessages.
        """
        if self.is_tuned and messages[-1]["role"] != "assistant":
            return prompt_ids(self.tokenizer, messages)
        with rendering():
            return self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]

    def text_of(self, reply: list[int]) -> str:
        """Return the text of a reply's tokens."""
        return self.tokenizer.decode(reply, skip_special_tokens=True, clean_up_tokenization_spaces=False).strip()

    def merged(self) -> "LoadedModel":
        """Return the model with its adapter merged into the weights, which is faster."""
        if not hasattr(self.model, "merge_and_unload") or is_quantised(self.model):
            return self
        _give_the_head_its_own_weight(self.model)
        model = self.model.merge_and_unload()
        output = model.get_output_embeddings()
        if output is not None and output.weight is not model.get_input_embeddings().weight:
            model.config.tie_word_embeddings = False  # an adapter that trains one of them unties them, which saving would lose
        return self._replace(model=model)


def reference_of(cfg: Any) -> ModelReference:
    """Return the model that a run trained, from its rendered configuration; the working directory is the run's."""
    is_adapter, labels = bool(cfg.adapter), tuple(cfg.labels or ())
    return ModelReference(
        name="tuned", base=cfg.base_model if is_adapter else "model", adapter="model" if is_adapter else "", tokenizer="model",
        identity="", note="", revision=cfg.revision_of_model if is_adapter else None, kind=cfg.record_type or "chat", labels=labels,
        trust_remote_code=bool(cfg.trust_remote_code), attention=cfg.attn_implementation or ATTENTION,
        end_of_turn=next(iter(cfg.eot_tokens or ()), None), bits=4 if cfg.load_in_4bit else 8 if cfg.load_in_8bit else 0,
    )  # fmt: skip


def base_reference(cfg: Any) -> ModelReference:
    """Return the base model of a run, with the run's tokenizer, so that both tokenize a prompt alike."""
    return reference_of(cfg)._replace(name="base", base=cfg.base_model, adapter="", revision=cfg.revision_of_model)


def load(
    reference: ModelReference,
    head: Head = "causal",
    *,
    adapted: bool = True,
    chats: bool = False,
    device: str | None = None,
    dtype: Any = None,
    bits: int | None = None,
) -> LoadedModel:
    """Load a model in evaluation mode, as its reference describes it.

    Not `adapted`, it lacks its adapter, but has embeddings for the tokens that its training added. `chats` requires a chat template;
    `device` and `dtype` default to the fastest on this machine, `bits` of the base model to 0 (not quantised), or those of its training on
    a GPU where it does not fit otherwise. Raises UserError if there is no such model, or if it cannot be loaded or used like that.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or fastest_dtype(device)
    bits = _fitting_bits(reference, device) if bits is None else bits
    here = Location(reference.name)
    if head == "causal" and reference.kind == "classification":
        raise UserError(Problem(here, "has a classification head: it generates no text", "recipe chat classifies texts", "no-model"))
    if not Path(reference.base).is_dir():
        require_weights(reference.base, reference.revision)
    for folder in {reference.base, reference.adapter, reference.tokenizer}:
        if folder and Path(folder).is_dir():
            check_model_folder(Path(folder))
    limit_hub_client()
    try:
        tokenizer = load_tokenizer(reference)
        if chats and not tokenizer.chat_template:
            raise UserError(Problem(here, "has no chat template: it cannot answer chats", rule="no-template"))
        model = _model(reference, head, dtype, device, bits)
        _resize_embeddings(model, _vocabulary(reference, model, tokenizer))
    except (OSError, ValueError, ImportError) as error:  # no such name, no network, a different head, a missing kernel
        what = f"cannot be loaded: {first_line(error)}"
        raise UserError(Problem(here, what, "check the folder's config.json and weights", "no-model")) from None
    base = _loaded(reference, model, tokenizer, head, device)
    return with_adapter(base, reference) if adapted and reference.adapter else base


def load_tokenizer(reference: ModelReference) -> Any:
    """Load the tokenizer, from the run's own folder if there is a run. Raises OSError for a damaged one."""
    from transformers import AutoTokenizer

    revision = reference.revision if reference.tokenizer == reference.base else None
    with damage_as_os_error():
        return AutoTokenizer.from_pretrained(
            reference.tokenizer, revision=revision or "main", trust_remote_code=reference.trust_remote_code
        )


def with_adapter(base: LoadedModel, reference: ModelReference) -> LoadedModel:
    """Add the reference's adapter to the base that was loaded for it; the base changes. Raises UserError for one of another model."""
    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Found missing adapter keys")  # without these weights it would answer like the base
            with damage_as_os_error("the adapter"):
                return base._replace(name=reference.name, model=PeftModel.from_pretrained(base.model, reference.adapter).eval())
    except UserWarning as warning:
        what = f"lacks weights of its own layers, so it was trained on another model: {str(warning)[:200]}"
        raise UserError(Problem(reference.adapter, what, _ITS_MODEL, "no-model")) from None
    except (OSError, ValueError, ImportError) as error:
        what = f"cannot be loaded on {reference.base}: {first_line(error)[:300]}"
        raise UserError(Problem(reference.adapter, what, _ITS_MODEL, "no-model")) from None


def _fitting_bits(reference: ModelReference, device: str) -> int:
    size = model_size(reference.base, reference.revision) if device == "cuda" else None
    return evaluated_bits(reference.bits, size, this_machine())


def _model(reference: ModelReference, head: Head, dtype: Any, device: str, bits: int) -> Any:
    """Return the model without its adapter."""
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    options: dict[str, Any] = {
        "dtype": dtype,
        "revision": reference.revision or "main",
        "trust_remote_code": reference.trust_remote_code,
        "use_safetensors": True,  # other formats are pickles
        # Always set, as in training: a config.json may name another kernel, even one to download.
        "attn_implementation": attention_for(reference.attention, device, dtype, architecture(reference.base, reference.revision)),
    }
    kind: Any = AutoModelForSequenceClassification if head == "classification" else AutoModelForCausalLM
    if options["attn_implementation"] == ATTENTION and not has_sdpa(kind, _config_of(reference)):
        options["attn_implementation"] = "eager"
    if bits:
        options |= {"quantization_config": _quantisation(bits, dtype), "device_map": {"": device}}
    if head == "classification" and reference.labels:
        options |= {"id2label": dict(enumerate(reference.labels)), "label2id": {name: i for i, name in enumerate(reference.labels)}}
    remember_missing_weights()
    with damage_as_os_error("the model"):
        model = kind.from_pretrained(reference.base, **options)
    if lacking := missing_weights(model):
        raise UserError(Problem(Location(reference.name), lacking, "choose a model that has them", "no-model"))
    return (model if bits else model.to(device)).eval()


def _config_of(reference: ModelReference) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(reference.base, revision=reference.revision or "main", trust_remote_code=reference.trust_remote_code)


def attention_for(wanted: str, device: str, dtype: Any, model: Architecture | None) -> str:
    """Return the attention to load: that of the training, but flash attention only on a GPU in 16 bits. The type that a model is stored in
    (`auto`) may be fp32, which it refuses. The model's own, where another would leave out a part of it."""
    can_flash = device == "cuda" and dtype in (torch.bfloat16, torch.float16)
    chosen = wanted if can_flash or "flash" not in wanted else ATTENTION
    return "eager" if left_out(chosen, model) else chosen


def _quantisation(bits: int, dtype: Any) -> Any:
    """Return how Axolotl quantises a base model for QLoRA (4 bits), or for a LoRA with load_in_8bit."""
    from transformers import BitsAndBytesConfig

    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype)


def _give_the_head_its_own_weight(model: Any) -> None:
    """Untie the head from the embeddings if an adapter has one of them: merging it into their common weight would change both."""
    layers = model.get_input_embeddings(), model.get_output_embeddings()
    embeddings, head = (getattr(layer, "base_layer", layer) for layer in layers)
    if head is not None and head.weight is embeddings.weight and (embeddings, head) != layers:
        head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)


def is_quantised(model: Any) -> bool:
    """Return whether the model was loaded in 4 or 8 bits."""
    return bool(getattr(model, "is_loaded_in_4bit", False) or getattr(model, "is_loaded_in_8bit", False))


def _vocabulary(reference: ModelReference, model: Any, tokenizer: Any) -> int:
    """Return the number of embeddings when the model was trained: from the adapter if it has them, else enough for every token."""
    embeddings = model.get_input_embeddings()
    if reference.adapter:
        from safetensors import safe_open

        name = next(name for name, module in model.named_modules() if module is embeddings)
        with safe_open(Path(reference.adapter, ADAPTER_WEIGHTS), framework="pt") as weights:
            for key in weights.keys():
                if key.endswith(f"{name}.weight") and (shape := weights.get_slice(key).get_shape())[1:] == [embeddings.embedding_dim]:
                    return shape[0]
    return max(len(tokenizer), embeddings.num_embeddings)


@torch.no_grad()
def _resize_embeddings(model: Any, rows: int) -> None:
    """Resize the embeddings. New ones are the mean of the others, not random: a base model must answer the same each time."""
    before = model.get_input_embeddings().num_embeddings
    if rows == before:
        return
    model.resize_token_embeddings(rows, mean_resizing=False)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        if layer is not None and rows > before:
            layer.weight[before:] = layer.weight[:before].float().mean(0).to(layer.weight.dtype)


def _loaded(reference: ModelReference, model: Any, tokenizer: Any, head: Head, device: str) -> LoadedModel:
    """Return the model with everything needed to generate or classify."""
    config = model.config.get_text_config()
    labels = tuple(model.config.id2label[number] for number in range(model.config.num_labels)) if head == "classification" else ()
    stops = getattr(getattr(model, "generation_config", None), "eos_token_id", None)  # one id, a list, or None
    ends = {*(stops if isinstance(stops, list) else [stops]), tokenizer.eos_token_id}
    if reference.end_of_turn:
        ends.add(tokenizer.convert_tokens_to_ids(reference.end_of_turn))
    stop_ids = frozenset(ends - {None})
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(stop_ids, default=0)
    if head == "classification":
        config.pad_token_id = model.config.pad_token_id = pad_id  # the model finds a row's last token by it
    context = positions_of(model.config.to_dict()) or tokenizer.model_max_length
    return LoadedModel(reference.name, model, tokenizer, stop_ids, pad_id, context, device, labels, bool(reference.run))


def silence_libraries() -> None:
    """Silence warnings about kernels that a CPU lacks, and about a new head whose weights the adapter brings."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for name in ("torchao", "torch.utils._pytree", "bitsandbytes"):
        logging.getLogger(name).setLevel(logging.ERROR)
