"""What a model folder may make a library do when it is loaded is checked before anything is loaded.

Code in the folder is run only with `trust_remote_code`, which transformers decides; here is what it does not ask about.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...schemas.base.errors import Location, Problem, UserError
from .template_check import template_fault

CONFIGS = ("config.json", "generation_config.json", "adapter_config.json", "tokenizer_config.json", "model.safetensors.index.json")
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
ATTENTION = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
MAX_CONFIG_BYTES = 16 << 20
_PICKLE = "holds the weights as a pickle, which may run code when it is loaded"
_SAFETENSORS = "convert the weights to safetensors: model.save_pretrained(folder) where you trust them"


def check_model_folder(folder: Path) -> None:
    """Check the configuration files, the kind of weights and the chat templates of a model or an adapter.

    Raises UserError with everything that is wrong.
    """
    configs = {name: _read(folder / name) for name in CONFIGS if (folder / name).is_file()}
    problems = [problem for name, values in configs.items() for problem in _config_problems(folder / name, values)]
    problems += [*_weight_problems(folder, configs), *_template_problems(folder, configs.get("tokenizer_config.json", {}))]
    if problems:
        raise UserError(*problems)


def _read(path: Path) -> dict[str, Any]:
    """A JSON object. Raises UserError where it is none."""
    size = path.stat().st_size
    if size > MAX_CONFIG_BYTES:
        raise UserError(_problem(path, f"is {size:,} bytes long; a configuration has at most {MAX_CONFIG_BYTES:,}"))
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(_problem(path, f"is not JSON: {str(error)[:200]}")) from None
    if not isinstance(values, dict):
        raise UserError(_problem(path, "is not a JSON object"))
    return values


def _config_problems(path: Path, values: dict[str, Any]) -> Iterator[Problem]:
    """Names of kernels: transformers would fetch and run them, and the evaluation would use another attention than the training."""
    for key, value in _entries(values):
        if not key.removeprefix("_").startswith("attn_implementation") or value is None:
            continue
        names = value.values() if isinstance(value, dict) else [value]
        if other := [name for name in names if name is not None and name not in ATTENTION]:
            hint = f"remove the key; model.attn_implementation chooses among {', '.join(ATTENTION)}"
            yield _problem(path, f"{key} names code to fetch and run: {str(other[0])[:100]!r}", hint)


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key of the object at any depth, with its value."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield from found.items()
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


def _weight_problems(folder: Path, configs: dict[str, dict[str, Any]]) -> Iterator[Problem]:
    """Weights that are pickles, and an index that leads out of the folder."""
    if pickled := _pickled([path.name for path in folder.iterdir()]):
        yield _problem(folder / pickled, _PICKLE, _SAFETENSORS)
    index = configs.get("model.safetensors.index.json", {}).get("weight_map", {})
    files = sorted({str(name) for name in index.values()}) if isinstance(index, dict) else []
    if outside := [name for name in files if Path(name).name != name]:
        yield _problem(folder / "model.safetensors.index.json", f"names a file outside the folder: {outside[0][:100]!r}")


def check_weight_names(model: str, names: list[str]) -> None:
    """Raise UserError where a model whose files have these names has no weights but pickles."""
    if pickled := _pickled(names):
        raise UserError(_problem(Path(model) / pickled, _PICKLE, _SAFETENSORS))


def _pickled(names: list[str]) -> str:
    """The first file of weights that is a pickle; "" where there are safetensors, which are loaded instead."""
    if any(name.endswith(".safetensors") for name in names):
        return ""
    found = [name for name in names if name != "training_args.bin" and name.endswith(PICKLED)]
    return min(found, default="")


def _template_problems(folder: Path, tokenizer: dict[str, Any]) -> Iterator[Problem]:
    """Chat templates that cannot be rendered within the limits, wherever tokenizers look for them."""
    given = tokenizer.get("chat_template")
    named = given if isinstance(given, list) else [{"template": given}]
    templates = [(folder / "tokenizer_config.json", entry.get("template")) for entry in named if isinstance(entry, dict)]
    for path in (folder / "chat_template.jinja", *sorted(folder.glob("additional_chat_templates/*.jinja"))):
        if path.is_file():
            templates.append((path, path.read_bytes().decode("utf-8", "replace")))
    for path, template in templates:
        if isinstance(template, str) and (fault := template_fault(template)):
            yield _problem(path, f"the chat template {fault}", "use another template: model.chat_template")


def _problem(path: Path, what: str, hint: str = "") -> Problem:
    return Problem(Location(str(path)), what, hint, "unsafe-model")
