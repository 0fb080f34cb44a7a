"""The save at the end of a training, rehearsed before its first step: what cannot be saved now could not be saved after a day either."""

import shutil
from pathlib import Path
from typing import Any

FOLDER = Path("rehearsal")
MOST_BYTES = 1 << 30  # larger weights are not written twice: of them, everything but the weights is saved


def rehearse(model: Any, tokenizer: Any, folder: Path = FOLDER) -> None:
    """Save what will be saved in the end, read the weights back, and take it away again. Raises what saving raises, or ValueError."""
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


def _read_back(model: Any, folder: Path) -> None:
    """Every weight that is trained stands in the files, with its values."""
    import torch
    from safetensors.torch import load_file

    saved = {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}
    # PEFT leaves the adapter's name out, and a head that is trained whole is wrapped
    trained = {name.replace(".default", "").replace(".modules_to_save", ""): p for name, p in model.named_parameters() if p.requires_grad}
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    if missing := [name for name in trained if name not in saved and name not in tied]:
        raise ValueError(f"{len(missing)} trained weights are not saved, such as {missing[0]}")
    for name in trained.keys() & saved.keys():
        if not torch.equal(saved[name], trained[name].detach().to(saved[name].dtype).cpu()):
            raise ValueError(f"{name} is not saved as it is")
