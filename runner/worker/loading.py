"""A model in memory, ready to answer."""

from typing import Any, NamedTuple

from ...schemas.base.errors import Location, Problem, UserError
from ..models.reference import ModelReference
from .tokenization import prompt_ids


class LoadedModel(NamedTuple):
    """A model with its tokenizer. `context`: the most tokens of a prompt and its reply together. `is_tuned`: a run trained it."""

    name: str
    model: Any
    tokenizer: Any
    stop_ids: frozenset[int]
    pad_id: int
    context: int
    device: str
    is_tuned: bool = False

    def prompt_ids(self, messages: list[dict[str, str]]) -> list[int]:
        """The chat as the model's template writes it, up to where the reply starts: for a tuned model, as its training has it."""
        if self.is_tuned and messages[-1]["role"] != "assistant":
            return prompt_ids(self.tokenizer, messages)
        return self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]


def load(target: ModelReference, chats: bool = True) -> LoadedModel:
    """Load the model in the precision that the machine is fast at. `chats` says that it must have a chat template.

    Raises UserError where it has none, or where there is no such model.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if target.kind == "classification":
        raise UserError(Problem(Location(target.name), "has a head for labels: it writes nothing", "recipe chat classifies", "no-model"))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(target.tokenizer)
        if chats and not tokenizer.chat_template:
            raise UserError(Problem(Location(target.name), "has no chat template: it cannot answer chats", rule="no-template"))
        model: Any = AutoModelForCausalLM.from_pretrained(target.base, dtype=dtype, revision=target.revision or "main")
    except (OSError, ValueError) as error:  # no such name, no network, no language model
        said = str(error).strip().splitlines()[0]
        raise UserError(Problem(Location(target.name), f"cannot be loaded: {said}", "check the name and the network", "no-model")) from None
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:  # tokens that training added
        model.resize_token_embeddings(len(tokenizer))
    if target.adapter:
        from peft import PeftModel

        adapted: Any = PeftModel.from_pretrained(model, target.adapter)
        model = adapted.merge_and_unload()
    model = model.to(device).eval()
    stops = model.generation_config.eos_token_id
    stop_ids = frozenset({*(stops if isinstance(stops, list) else [stops]), tokenizer.eos_token_id} - {None})
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(stop_ids)
    return LoadedModel(target.name, model, tokenizer, stop_ids, pad_id, model.config.max_position_embeddings, device, bool(target.run))
