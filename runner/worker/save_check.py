"""Check before the first step that the trained weights can be saved and read back."""

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from ...schemas.base.counted import counted

FOLDER = Path("save_check")
MOST_BYTES = 1 << 30  # for larger weights, only everything else is saved


def check_save(model: Any, tokenizer: Any, folder: Path = FOLDER) -> None:
    """Save what will be saved at the end, read the weights back, and delete them. Raises what saving raises, or ValueError."""
    try:
        tokenizer.save_pretrained(folder)
        if hasattr(model, "peft_config") or _bytes(model) <= MOST_BYTES:
            model.save_pretrained(folder)
            _read_back(model, folder)
        else:
            model.config.save_pretrained(folder)
        generation = getattr(model, "generation_config", None)
        if generation is not None:
            generation.save_pretrained(folder)  # refuses settings that contradict each other
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _bytes(model: Any) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())


def _saved_name(name: str) -> str:
    """Return the name under which PEFT saves a parameter: without the adapter's name and the wrappers for full modules and DoRA."""
    bare = name.replace(".default", "").replace(".modules_to_save", "")
    return bare.replace("lora_magnitude_vector.weight", "lora_magnitude_vector")


def _as_saved(model: Any) -> dict[str, torch.Tensor]:
    """Return the weights by the names and in the form in which they are saved: an adapter's trained ones; all of a full model, which are in
    its files as they were published (GPT-NeoX's head is embed_out there, experts that are one tensor in memory are one for each)."""
    weights = dict(model.named_parameters())
    if hasattr(model, "peft_config"):
        return {_saved_name(name): weight for name, weight in weights.items() if weight.requires_grad}
    from transformers.core_model_loading import revert_weight_conversion

    return revert_weight_conversion(model, {name: weight.detach() for name, weight in weights.items()})


def _read_back(model: Any, folder: Path) -> None:
    """Raise ValueError unless the files contain the weights with their values."""
    saved = {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}
    trained = _as_saved(model)
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    if missing := [name for name in trained if name not in saved and name not in tied]:
        raise ValueError(f"{counted(len(missing), 'trained weight', 'are')} not saved, such as {missing[0]}")
    for name in trained.keys() & saved.keys():
        if not torch.equal(saved[name], trained[name].detach().to(saved[name].dtype).cpu()):
            raise ValueError(f"{name} is saved with different values")
    if hasattr(model, "peft_config") and (lost := _not_found_again(model, trained)):
        what = f"peft would not find {counted(len(lost), 'trained weight')} again, such as {lost[0]}"
        raise ValueError(f"{what}: name other layers in training.lora_target_modules")


def _not_found_again(model: Any, trained: dict[str, torch.Tensor]) -> list[str]:
    """Return those of an adapter's weights that peft does not find by the names under which it saves them. It is given the model's own.

    It renames what it loads as transformers renames the files of a base model, also what no file names like that (a Laguna's shared
    experts), and goes on without it, in a resumed training too.
    """
    from peft import set_peft_model_state_dict

    found = set_peft_model_state_dict(model, {name: weight.detach() for name, weight in trained.items()})
    own = {name for name, weight in model.named_parameters() if weight.requires_grad}
    return [name for name in found.missing_keys if name in own]
