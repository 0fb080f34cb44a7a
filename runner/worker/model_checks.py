"""Try a model before it is used: whether its files had all its weights, whether it can learn from rows as they are given to it, and whether
its replies can be generated in batches.
"""

from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from .text_data import reads_documents_apart

LISTED = 3
BARELY = 1e-3  # of the largest logit: what rounding changes
BARELY_IN_16_BITS = 0.02  # also where another token, sent to another expert, changes the order in which numbers are added
MUCH = 0.1
NOTHING = 1e-16
TRIED = 8  # tokens
_MAMBA = ("falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h")  # peft's own list


def remember_missing_weights() -> None:
    """Let a model that transformers loads know which of its weights no file had: these are drawn at random, with a warning."""
    from transformers import PreTrainedModel

    adjust: Any = PreTrainedModel._adjust_missing_and_unexpected_keys
    if getattr(adjust, "remembers_missing_weights", False):
        return

    def adjusted(self: Any, loading_info: Any) -> None:
        adjust(self, loading_info)
        self.__dict__["missing_weights"] = sorted(loading_info.missing_keys)

    adjusted.__dict__["remembers_missing_weights"] = True
    PreTrainedModel._adjust_missing_and_unexpected_keys = adjusted


def cannot_load(cfg: Any) -> str:
    """Return in words why transformers would not load the model of this configuration; "" if that is not known. Its error says little."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

    known: Any = AutoModelForSequenceClassification if cfg.record_type == "classification" else AutoModelForCausalLM
    if cfg.trust_remote_code:
        return ""
    config = AutoConfig.from_pretrained(cfg.base_model, revision=cfg.revision_of_model or "main")
    if type(config) not in known._model_mapping:
        what = f"transformers has no causal language model of the type {config.model_type}: it encodes a question and decodes the answer"
        return f"model.base_model: {what}; choose another" if getattr(config, "is_encoder_decoder", False) else ""
    if cfg.attn_implementation == "sdpa" and not has_sdpa(known, config):
        return f"model.attn_implementation: a {config.model_type} has no sdpa, which is the default; set it to eager"
    return ""


def has_sdpa(known: Any, config: Any) -> bool:
    """Return whether transformers' model for this configuration, of an automatic class, takes sdpa; True if it is not transformers' own."""
    return type(config) not in known._model_mapping or getattr(known._model_mapping[type(config)], "_supports_sdpa", True)


def missing_weights(model: Any) -> str:
    """Return in words that the model's files lack weights; "" if they have all that matter. A classifier's head, with what makes one vector
    of a text, may be new."""
    missing = getattr(model, "missing_weights", [])
    if type(model).__name__.endswith("SequenceClassification"):
        missing = [name for name in missing if name.startswith(f"{model.base_model_prefix}.") and ".pooler." not in name]
    if not missing:
        return ""
    more = " ..." if len(missing) > LISTED else ""
    return f"its files lack {len(missing):,} of its weights, which would be random: {', '.join(missing[:LISTED])}{more}"


def cannot_adapt_all(model: Any) -> str:
    """Return in words why an adapter on all linear layers would stop the training with peft's error; "" if it would not. The layers are
    known by their last names, which others may have too."""
    from axolotl.loaders.adapter import find_all_linear_names

    names = {*find_all_linear_names(model)}
    unfit = {name: "peft refuses it in a Mamba" for name in names & {"out_proj", "conv1d"} if model.config.model_type in _MAMBA}
    for path, module in model.named_modules():
        name, kind = path.rpartition(".")[2], type(module).__name__
        if name in names and (not isinstance(module, torch.nn.Linear | Conv1D) or "Router" in kind or "Grouped" in kind):
            unfit.setdefault(name, f"a {kind} has this name")
    if not unfit:
        return ""
    name, why = next(iter(sorted(unfit.items())))
    return f"all-linear would include {name}: {why}; name the layers instead: {', '.join(sorted(names - {*unfit}))}"


def never_trained(model: Any, tokenizer: Any, rows: Any) -> str:
    """Return in words that the tokenised rows have tokens whose embeddings are zero, and stay so in this training; "" if they have none.

    A base model may have places for the tokens of its chats, as Llama 3's, which it has not been trained on yet: with frozen embeddings it
    would never learn to tell them apart, or to end a reply.
    """
    layer = model.get_input_embeddings()
    if any(weight.requires_grad for weight in layer.parameters()):
        return ""
    zero = {*(torch.linalg.vector_norm(layer.weight, float("inf"), dim=-1) <= NOTHING).nonzero()[:, 0].tolist()}
    used = sorted({number for ids in rows["input_ids"] for number in ids if number in zero}) if zero else []
    if not used:
        return ""
    names = ", ".join(tokenizer.convert_ids_to_tokens(used[:TRIED])) + (" ..." if len(used) > TRIED else "")
    key = "lora_modules_to_save" if hasattr(model, "peft_config") else "unfrozen_parameters"
    hint = f"choose the instruct model or another model.chat_template, or train them: axolotl.{key}"
    return f"the model was never trained on tokens of these rows, and this training leaves their embeddings at zero: {names}; {hint}"


def looks_ahead(model: Any) -> bool:
    """Return whether another last token changes what the model says of the tokens before it: it would be trained, and measured, on what it
    sees. An encoder such as BERT does, unless its config.json has `is_decoder: true`."""
    ids = _tokens(model)
    before, after = (
        logits[:, :-1] for logits in (_logits(model, ids), _logits(model, ids + (torch.arange(TRIED, device=ids.device) == TRIED - 1)))
    )
    barely = BARELY if before.dtype is torch.float32 else BARELY_IN_16_BITS
    return bool((before - after).abs().max() > barely * before.abs().max())


def reads_padding(model: Any, pad_id: int) -> bool:
    """Return whether padding behind a text changes by much what a classifier says of it: it would depend on the other rows of its batch."""
    ids = _tokens(model)
    padded = torch.nn.functional.pad(ids, (0, TRIED), value=pad_id)
    mask = (torch.arange(2 * TRIED, device=ids.device) < TRIED).long()[None]
    alone, among = _logits(model, ids), _logits(model, padded, mask)
    return bool((alone - among).abs().max() > MUCH * alone.abs().max())


def reads_padding_before(model: Any, pad_id: int, has_positions: bool) -> bool:
    """Return whether padding before a prompt changes what a language model says after it: its reply would depend on the other rows of its
    batch. RWKV's does, and that of a model that counts its positions itself."""
    ids = _tokens(model)
    padded = torch.nn.functional.pad(ids, (TRIED, 0), value=pad_id)
    mask = (torch.arange(2 * TRIED, device=ids.device) >= TRIED).long()[None]
    positions = {"position_ids": (mask.cumsum(-1) - 1).clamp(min=0)} if has_positions else {}
    alone, among = _logits(model, ids)[:, -1], _logits(model, padded, mask, **positions)[:, -1]
    barely = BARELY if alone.dtype is torch.float32 else BARELY_IN_16_BITS
    return bool((alone - among).abs().max() > barely * alone.abs().max())


def _tokens(model: Any) -> torch.Tensor:
    """Return TRIED of the model's tokens, (1, TRIED); no two next to each other are equal, and none is the first or the last."""
    middle = model.config.get_text_config().vocab_size // 2
    return torch.arange(middle, middle + TRIED, device=model.device)[None]


@torch.no_grad()  # not inference_mode: tensors cached in it could not be used in training
def _logits(model: Any, ids: torch.Tensor, mask: torch.Tensor | None = None, **options: torch.Tensor) -> torch.Tensor:
    was_training = model.training
    model.eval()
    try:
        return model(input_ids=ids, attention_mask=torch.ones_like(ids) if mask is None else mask, **options).logits
    finally:
        model.train(was_training)


def unfit(cfg: Any, model: Any, shared_block: dict[str, list[int]] | None, blocks: int) -> str:
    """Return in words why the model cannot learn from the recipe's rows as they are given to it; "" if it can. The model is tried.

    `shared_block` is a block of several rows, if rows share a sequence; `blocks` is how many of them are in a batch.
    """
    if cfg.record_type == "classification":
        reads = reads_padding(model, model.config.pad_token_id)
        return "in this model, what a text is taken for depends on the padding behind it: choose another model.base_model" if reads else ""
    if looks_ahead(model):
        return "this model sees the tokens that it is to predict, as an encoder such as BERT does: choose a causal language model"
    if shared_block and not reads_documents_apart(model, shared_block, blocks):
        key = "kernels: off" if cfg.flatten_batches else "sample_packing: false"
        return f"in this model, rows that share a sequence are not read as each is alone: set training.{key}"
    return ""
