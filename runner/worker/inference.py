"""The one way in which a trained or a base model is loaded and asked: by evaluation, merge, chat, serve, classification and probes.

What is measured is what is served, because nobody else calls `from_pretrained`.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from ...schemas.base.errors import Location, Problem, UserError
from ..models.folder_check import check_model_folder
from ..models.hub import require_weights
from ..models.reference import ATTENTION, ModelReference
from .tokenization import prompt_ids

Head = Literal["causal", "classification"]
ADAPTER_WEIGHTS = "adapter_model.safetensors"


class LoadedModel(NamedTuple):
    """A model with its tokenizer. `context` is the maximum number of tokens of a prompt and its reply together; `labels` are those of a
    classification head; `is_tuned` says that a run trained it.
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
        """The chat as the model's template writes it, up to where the reply starts: for a tuned model, as its training has it."""
        if self.is_tuned and messages[-1]["role"] != "assistant":
            return prompt_ids(self.tokenizer, messages)
        return self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]

    def merged(self) -> "LoadedModel":
        """The same model with its adapter merged into the weights, which answers faster."""
        if not hasattr(self.model, "merge_and_unload"):
            return self
        model = self.model.merge_and_unload()
        output = model.get_output_embeddings()
        if output is not None and output.weight is not model.get_input_embeddings().weight:
            model.config.tie_word_embeddings = False  # an adapter that trains one of them parts them; else saving would lose that
        return self._replace(model=model)


def reference_of(cfg: Any) -> ModelReference:
    """What a run trained, from its rendered configuration; the working directory is the run's."""
    is_adapter, labels = bool(cfg.adapter), tuple(cfg.labels or ())
    return ModelReference(
        name="tuned", base=cfg.base_model if is_adapter else "model", adapter="model" if is_adapter else "", tokenizer="model",
        identity="", note="", revision=cfg.revision_of_model if is_adapter else None, kind=cfg.record_type or "chat", labels=labels,
        trust_remote_code=bool(cfg.trust_remote_code), attention=cfg.attn_implementation or ATTENTION,
        end_of_turn=next(iter(cfg.eot_tokens or ()), None),
    )  # fmt: skip


def base_reference(cfg: Any) -> ModelReference:
    """The model that a run started from, with the run's tokenizer, so that both read a prompt alike."""
    return reference_of(cfg)._replace(name="base", base=cfg.base_model, adapter="", revision=cfg.revision_of_model)


def load(
    reference: ModelReference, head: Head = "causal", *, chats: bool = False, device: str | None = None, dtype: Any = None
) -> LoadedModel:
    """Load a model, in evaluation mode, with everything that its reference says.

    `chats` requires a chat template; `device` and `dtype` default to what this machine is fast with. Raises UserError where there is no
    such model, or where it cannot be loaded or asked like that.
    """
    base = load_base(reference, head, chats=chats, device=device, dtype=dtype)
    return with_adapter(base, reference) if reference.adapter else base


def load_base(
    reference: ModelReference, head: Head = "causal", *, chats: bool = False, device: str | None = None, dtype: Any = None
) -> LoadedModel:
    """Load a model without its adapter, with room for the tokens that training added. Raises UserError as `load` does."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or (torch.bfloat16 if device == "cuda" else torch.float32)
    here = Location(reference.name)
    if head == "causal" and reference.kind == "classification":
        raise UserError(Problem(here, "has a classification head: it generates no text", "recipe chat classifies", "no-model"))
    if not Path(reference.base).is_dir():
        require_weights(reference.base, reference.revision)
    for folder in {reference.base, reference.adapter, reference.tokenizer}:
        if folder and Path(folder).is_dir():
            check_model_folder(Path(folder))
    try:
        tokenizer = load_tokenizer(reference)
        if chats and not tokenizer.chat_template:
            raise UserError(Problem(here, "has no chat template: it cannot answer chats", rule="no-template"))
        model = _model(reference, head, dtype, device)
        _resize_embeddings(model, _vocabulary(reference, model, tokenizer))
    except (OSError, ValueError, ImportError) as error:  # no such name, no network, another head, a kernel that is not installed
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(Problem(here, f"cannot be loaded: {reason}", "see the folder's config.json and weights", "no-model")) from None
    return _loaded(reference, model, tokenizer, head, device)


def load_tokenizer(reference: ModelReference) -> Any:
    """Load the tokenizer, from the run's own folder where there is a run."""
    from transformers import AutoTokenizer

    revision = reference.revision if reference.tokenizer == reference.base else None
    return AutoTokenizer.from_pretrained(
        reference.tokenizer, revision=revision or "main", trust_remote_code=reference.trust_remote_code
    )  # fmt: skip


def with_adapter(base: LoadedModel, reference: ModelReference) -> LoadedModel:
    """Put the reference's adapter on the base that was loaded for it; the base itself changes."""
    from peft import PeftModel

    return base._replace(name=reference.name, model=PeftModel.from_pretrained(base.model, reference.adapter).eval())


def _model(reference: ModelReference, head: Head, dtype: Any, device: str) -> Any:
    """The model without its adapter."""
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    options: dict[str, Any] = {
        "dtype": dtype,
        "revision": reference.revision or "main",
        "trust_remote_code": reference.trust_remote_code,
        "use_safetensors": True,  # the others are pickles
        # Given always, as training does: a config.json may name another kernel, even one to download.
        "attn_implementation": reference.attention if device == "cuda" or "flash" not in reference.attention else "sdpa",
    }
    if head == "causal":
        causal: Any = AutoModelForCausalLM.from_pretrained(reference.base, **options)
        return causal.to(device).eval()
    if reference.labels:
        options |= {"id2label": dict(enumerate(reference.labels)), "label2id": {name: i for i, name in enumerate(reference.labels)}}
    classifier: Any = AutoModelForSequenceClassification.from_pretrained(reference.base, **options)
    return classifier.to(device).eval()


def _vocabulary(reference: ModelReference, model: Any, tokenizer: Any) -> int:
    """The rows of the embeddings when the model was trained: the adapter's own where it holds them, else room for every token."""
    embeddings = model.get_input_embeddings()
    if reference.adapter:
        from safetensors import safe_open

        name = next(name for name, module in model.named_modules() if module is embeddings)
        with safe_open(Path(reference.adapter, ADAPTER_WEIGHTS), framework="pt") as weights:
            for key in weights.keys():
                if key.endswith(f"{name}.weight"):
                    return weights.get_slice(key).get_shape()[0]
    return max(len(tokenizer), embeddings.num_embeddings)


@torch.no_grad()
def _resize_embeddings(model: Any, rows: int) -> None:
    """Give the embeddings so many rows. New ones are the mean of the others, not random: a base model must answer alike each time."""
    before = model.get_input_embeddings().num_embeddings
    if rows == before:
        return
    model.resize_token_embeddings(rows, mean_resizing=False)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        if layer is not None and rows > before:
            layer.weight[before:] = layer.weight[:before].float().mean(0).to(layer.weight.dtype)


def _loaded(reference: ModelReference, model: Any, tokenizer: Any, head: Head, device: str) -> LoadedModel:
    """The model with what generating or classifying with it needs."""
    config = model.config.get_text_config()
    labels = tuple(model.config.id2label[number] for number in range(model.config.num_labels)) if head == "classification" else ()
    stops = getattr(getattr(model, "generation_config", None), "eos_token_id", None)  # one id, several, or none
    ends = {*(stops if isinstance(stops, list) else [stops]), tokenizer.eos_token_id}
    if reference.end_of_turn:
        ends.add(tokenizer.convert_tokens_to_ids(reference.end_of_turn))
    stop_ids = frozenset(ends - {None})
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(stop_ids, default=0)
    if head == "classification":
        config.pad_token_id = model.config.pad_token_id = pad_id  # by it the model finds a row's last token
    context = getattr(config, "max_position_embeddings", None) or tokenizer.model_max_length
    return LoadedModel(reference.name, model, tokenizer, stop_ids, pad_id, context, device, labels, bool(reference.run))


@dataclass
class Reply:
    """A reply while it is generated. `on_token` is called after each token; set `cancelled` when nobody waits for it any more."""

    prompt_ids: list[int]
    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0
    on_token: Callable[["Reply"], object] = lambda reply: None
    token_ids: list[int] = field(default_factory=list)
    finish: str = ""
    cancelled: bool = False


@torch.inference_mode()
def generate(loaded: LoadedModel, replies: Sequence[Reply]) -> None:
    """Generate every reply to its end: a stop token (`stop`), its maximum length (`length`), or nobody waiting (`cancelled`).

    Prompts are padded on the left and share one cache; each reply has its own sampling and seed, and leaves the batch when it ends.
    """
    alive = list(replies)
    generators = {id(reply): torch.Generator().manual_seed(reply.seed) for reply in alive}
    ids, mask = _padded([reply.prompt_ids for reply in alive], loaded)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    options, cache, has_positions = _forward_options(loaded.model)
    while alive:
        output = loaded.model(input_ids=ids, attention_mask=mask, **({"position_ids": positions} if has_positions else {}), **options)
        logits = output.logits[:, -1].float().cpu()
        for row, reply in enumerate(alive):
            _advance(reply, _pick(logits[row], reply, generators[id(reply)]), loaded.stop_ids)
        staying = [row for row, reply in enumerate(alive) if not reply.finish]
        if len(staying) < len(alive):
            alive = [alive[row] for row in staying]
            if not alive:
                return
            kept = torch.tensor(staying, device=loaded.device)
            ids, mask, positions = ids[kept], mask[kept], positions[kept]
            if cache is not None:
                cache.batch_select_indices(kept)
        new = torch.tensor([[reply.token_ids[-1]] for reply in alive], device=loaded.device)
        following = positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones((len(alive), 1))], dim=-1)
        ids, positions = (torch.cat([ids, new], -1), torch.cat([positions, following], -1)) if cache is None else (new, following)


def _padded(prompts: list[list[int]], loaded: LoadedModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask of the prompts, padded on the left."""
    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), loaded.pad_id)
    mask = torch.zeros((len(prompts), longest), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    return ids.to(loaded.device), mask.to(loaded.device)


def _forward_options(model: Any) -> tuple[dict[str, Any], Any, bool]:
    """What this model's forward takes beside its inputs; its cache, None where it has one of its own kind, and is run without; and whether
    it takes positions.
    """
    from transformers import DynamicCache

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    known = inspect.signature(inner.forward).parameters
    # Without logits_to_keep a long prompt's logits over the whole vocabulary fill gigabytes.
    options: dict[str, Any] = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
    if "past_key_values" not in known or not inner._supports_default_dynamic_cache():
        return options | ({"use_cache": False} if "use_cache" in known else {}), None, "position_ids" in known
    cache = DynamicCache(config=inner.config)
    return options | {"past_key_values": cache, "use_cache": True}, cache, "position_ids" in known


def _advance(reply: Reply, token: int, stop_ids: frozenset[int]) -> None:
    """Append the token to the reply, or end it."""
    if reply.cancelled:
        reply.finish = "cancelled"
    elif token in stop_ids:
        reply.finish = "stop"
    else:
        reply.token_ids.append(token)
        if len(reply.token_ids) >= reply.max_new_tokens:
            reply.finish = "length"
    reply.on_token(reply)


def _pick(logits: Any, reply: Reply, generator: Any) -> int:
    """The next token of one row: the most likely one at temperature 0, else a draw with the reply's own generator."""
    if reply.repetition_penalty != 1.0:
        used = torch.tensor(sorted({*reply.prompt_ids, *reply.token_ids}))
        scores = logits[used]
        logits[used] = torch.where(scores < 0, scores * reply.repetition_penalty, scores / reply.repetition_penalty)
    if not reply.temperature:
        return int(logits.argmax())
    probabilities = torch.softmax(logits / reply.temperature, dim=-1)
    if reply.top_p < 1:
        ordered, places = probabilities.sort(descending=True)
        probabilities[places[ordered.cumsum(-1) - ordered >= reply.top_p]] = 0  # the most likely one always stays
    return int(torch.multinomial(probabilities, 1, generator=generator))


@torch.inference_mode()
def label_probabilities(loaded: LoadedModel, rows: Sequence[Sequence[int]]) -> list[list[float]]:
    """A probability for each label, for each row of token ids, padded on the right as in training."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[loaded.pad_id] * (longest - len(row))] for row in rows], device=loaded.device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=loaded.device)
    return loaded.model(input_ids=ids, attention_mask=mask).logits.float().softmax(-1).tolist()
