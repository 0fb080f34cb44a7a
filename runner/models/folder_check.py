"""Check what a model folder could make a library do, before anything is loaded from it.

transformers runs code in the folder only with `trust_remote_code`; this covers what it does not ask about.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...schemas.base.errors import Problem, UserError
from ..runtime.seals import ADDED, added_files, change_hint
from .adapter_check import adapter_faults
from .config_file import MAX_BYTES, MAX_SETTINGS_BYTES, faults, model_config, read_object
from .template_check import template_fault
from .tokenizer_check import MAX_BYTES as MAX_TOKENIZER_BYTES
from .tokenizer_check import tokenizer_fault
from .weights_file import tensor_shapes

INDEX = "model.safetensors.index.json"
CONFIGS = {
    "config.json": MAX_SETTINGS_BYTES, "generation_config.json": MAX_SETTINGS_BYTES, "adapter_config.json": MAX_SETTINGS_BYTES,
    "tokenizer_config.json": MAX_BYTES, "special_tokens_map.json": MAX_BYTES, "added_tokens.json": MAX_BYTES, INDEX: MAX_BYTES,
}  # fmt: skip
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
ATTENTION = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flash_attention_4", "flex_attention")
# Of mixtures of experts; the other names fetch kernels.
EXPERTS = ("eager", "batched_mm", "grouped_mm")
MAX_TEMPLATES = 20  # each is tried in a process
MAX_SPECIAL_TOKENS = 30_000  # transformers compares each with all
_PICKLE = "stores the weights as a pickle, which can run code when it is loaded"
_SAFETENSORS = "convert the weights to safetensors on a machine where you trust them: model.save_pretrained(folder)"
_FILES = (".json", ".safetensors", ".jinja", ".model")  # no name of a folder
_WORDS = ("tokenizer", "vocab", "merges", "special_tokens_map", "added_tokens", "chat_template", "spiece", "tekken")  # beginnings of names
_ENDS = (".model", ".tiktoken", ".jinja")
_WHOLE = ("model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors")  # where weights are looked for first
_OF_BITS = (".absmax", ".SCB")  # names of what bitsandbytes stores next to a weight of 4 or 8 bits
_HASH = re.compile("[0-9a-f]{20}")  # in the names of the files that the hub's cache, DVC and git-annex link to
_SUFFIX = re.compile(r"(?:-unsloth)?-(?:bnb-4bit|bnb-8bit|GPTQ(?:-Int[48])?|AWQ|FP8|[48]bit)$", re.IGNORECASE)


def check_model_folder(folder: Path) -> None:
    """Check the configuration files, the weight format and the chat templates of a model or an adapter.

    Raises UserError with every problem.
    """
    if strange := [*_file_problems(folder)]:  # reading these may never end
        raise UserError(*strange)
    configs = {name: read_object(folder / name, most) for name, most in CONFIGS.items() if (folder / name).exists()}
    problems = [problem for name, values in configs.items() for problem in _config_problems(folder / name, values)]
    problems += [
        *_weight_problems(folder, configs),
        *_tokenizer_problems(folder),
        *_template_problems(folder, configs.get("tokenizer_config.json", {})),
        *(_problem(folder / name, ADDED, change_hint(folder, is_added=True)) for name in added_files(folder)),
    ]
    if problems:
        raise UserError(*problems)


def _file_problems(folder: Path) -> Iterator[Problem]:
    """Yield a problem for what is no regular file, for links to files of another name, whose content a trained tokenizer would be saved
    and pushed with, and for files of a tokenizer that are too large: libraries read them whole."""
    for path in sorted([*folder.iterdir(), *folder.glob("additional_chat_templates/*")]):
        if path.is_dir() and path.suffix not in _FILES or not path.exists():
            continue
        target = path.resolve()
        if not path.is_file():
            yield _problem(path, "is no regular file", "copy the model again")
        elif target.name != path.name and not _HASH.search(target.name) and path.suffix != ".safetensors":
            yield _problem(path, f"is a link to a file of another name: {target}", "copy the file that is meant into the folder")
        elif path.name.startswith(_WORDS) or path.suffix in _ENDS:
            size = path.stat().st_size
            if size > MAX_TOKENIZER_BYTES:
                yield _problem(path, f"has {size:,} bytes; a tokenizer may have at most {MAX_TOKENIZER_BYTES:,}")


def _config_problems(path: Path, values: dict[str, Any]) -> Iterator[Problem]:
    """Yield a problem for kernel names, which transformers would fetch and run (evaluation and training would use different attention), and
    for what names other weights than those of the folder."""
    for key, value in _entries(values):
        name = key.removeprefix("_")
        known = ATTENTION if name.startswith("attn_implementation") else EXPERTS if name.startswith("experts_implementation") else None
        if known is None or value is None:
            continue
        names = value.values() if isinstance(value, dict) else [value]
        if other := [name for name in names if name is not None and name not in known]:
            hint = f"remove the key; it can be {', '.join(known)}"
            yield _problem(path, f"{key} names code to fetch and run: {str(other[0])[:100]!r}", hint)
    if (named := values.get("transformers_weights")) is not None:
        yield _problem(path, f"transformers_weights names another file of weights: {str(named)[:100]!r}", "name it model.safetensors")
    if path.name in ("config.json", "generation_config.json"):
        yield from (_problem(path, fault) for fault in faults(values))
    for key in ("additional_special_tokens", "extra_special_tokens"):
        if isinstance(given := values.get(key), list | dict) and len(given) > MAX_SPECIAL_TOKENS:
            yield _problem(path, f"{key} has {len(given):,} tokens; at most {MAX_SPECIAL_TOKENS:,} are added")
    if str(values.get("peft_type")).upper() == "XLORA":
        yield _problem(path, "mixes other adapters, which would be fetched (XLORA)", "use one adapter, or merge them")


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key of the object at any depth, with its value."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield from found.items()
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


def _weight_problems(folder: Path, configs: dict[str, dict[str, Any]]) -> Iterator[Problem]:
    """Yield a problem for weights that are pickled or damaged, and for configurations that say of them what is not so."""
    if pickled := _pickled([path.name for path in folder.iterdir()]):
        yield _problem(folder / pickled, _PICKLE, _SAFETENSORS)
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            shapes[path.name] = tensor_shapes(path)
        except UserError as error:
            yield from error.problems
    if INDEX in configs:
        named = configs[INDEX].get("weight_map")
        if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
            yield _problem(folder / INDEX, "names no files: weight_map must give each tensor's file")
        elif outside := sorted({name for name in named.values() if Path(name).name != name or not name.endswith(".safetensors")}):
            what = "a file outside the folder" if Path(outside[0]).name != outside[0] else "a file that is no safetensors"
            yield _problem(folder / INDEX, f"names {what}: {outside[0][:100]!r}")
    names = [] if "adapter_config.json" in configs else [name for found in shapes.values() for name in found]
    if names and _claims_bits(configs.get("config.json", {})) and not any(name.endswith(_OF_BITS) for name in names):
        what = "says that the weights are quantised by bitsandbytes (quantization_config), but they are not"
        yield _problem(folder / "config.json", what, "remove quantization_config from it")
    if adapter := configs.get("adapter_config.json"):
        of_adapter = adapter_faults(adapter, shapes.get("adapter_model.safetensors", {}))
        yield from (_problem(folder / "adapter_config.json", fault) for fault in of_adapter)


def _claims_bits(config: dict[str, Any]) -> bool:
    """Return whether a config.json names bitsandbytes as what quantised its weights, or its settings alone, as old ones do."""
    given = config.get("quantization_config")
    return isinstance(given, dict) and given.get("quant_method", "bitsandbytes") == "bitsandbytes"


def check_weight_names(model: str, names: list[str]) -> None:
    """Raise UserError if a model with these files has only pickled weights."""
    if pickled := _pickled(names):
        raise UserError(_problem(Path(model) / pickled, _PICKLE, _SAFETENSORS))


def _pickled(names: list[str]) -> str:
    """Return the first pickled weight file; "" if there are safetensors by the names that are preferred."""
    if not set(names).isdisjoint(_WHOLE):
        return ""
    found = [name for name in names if name != "training_args.bin" and name.endswith(PICKLED)]
    return min(found, default="")


def _tokenizer_problems(folder: Path) -> Iterator[Problem]:
    """Yield a problem for a tokenizer that exceeds the limits."""
    path = folder / "tokenizer.json"
    if path.is_file() and (fault := tokenizer_fault(path)):
        yield _problem(path, fault, "fetch the file again; if it is the same, do not use this model")


def _template_problems(folder: Path, tokenizer: dict[str, Any]) -> Iterator[Problem]:
    """Yield a problem for chat templates that exceed the limits, wherever tokenizers look for them."""
    given = tokenizer.get("chat_template")
    named = given if isinstance(given, list) else [*given.values()] if isinstance(given, dict) else [given]
    texts = [entry.get("template") if isinstance(entry, dict) else entry for entry in named]
    templates = [(folder / "tokenizer_config.json", text) for text in texts]
    for path in (folder / "chat_template.jinja", *sorted(folder.glob("additional_chat_templates/*.jinja"))):
        if path.is_file():
            templates.append((path, path.read_bytes().decode("utf-8", "replace")))
    if len(templates) > MAX_TEMPLATES:
        yield _problem(folder, f"has {len(templates):,} chat templates; at most {MAX_TEMPLATES} are tried")
        return
    for path, template in templates:
        if template is not None and not _is_text(template):
            yield _problem(path, "the chat template is no text")
        elif template is not None and (fault := template_fault(template)):
            yield _problem(path, f"the chat template {fault}", "use another template: model.chat_template")


def _is_text(value: Any) -> bool:
    """Return whether the value is a text that a file can hold: half a surrogate pair is none."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _problem(path: Path, what: str, hint: str = "") -> Problem:
    return Problem(path, what, hint, "unsafe-model")


def require_unquantised(name: str, folder: Path | None) -> None:
    """Raise UserError if the config.json in the folder says that the weights are quantised. Without a folder nothing is known of them.

    They can neither be measured in full precision nor merged, and what is predicted of memory would count packed bytes as weights.
    """
    if folder is None or not (folder / "config.json").is_file():
        return
    config = model_config(folder)
    if not (quantisation := config.get("quantization_config")):
        return
    method = quantisation.get("quant_method") if isinstance(quantisation, dict) else None
    what = f"its weights are stored quantised ({method or 'quantization_config'}): they cannot be measured in full precision or merged"
    original = f", by its name {_SUFFIX.sub('', name)}" if _SUFFIX.search(name) else ""
    hint = f"use the model that it was made from{original}; adapter: qlora trains that in 4 bits"
    raise UserError(Problem(name, what, hint, "quantised-model"))
