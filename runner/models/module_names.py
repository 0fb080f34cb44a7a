"""Check names of modules and parameters in a configuration: peft and Axolotl ignore those that match nothing.

The keys are Axolotl's. Names match as in peft (modules) or Axolotl (lr_groups, unfrozen_parameters).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ...schemas.base.suggestion import did_you_mean

_SHOWN = 12
_EXPERTS = {"w1", "w2", "w3", "gate_proj", "up_proj", "down_proj"}  # fused in memory; peft translates these names
_RANGE = re.compile(r"^(.+)\[[0-9]*(?::[0-9]*)?\]$")  # rows of a parameter: ^lm_head.weight$[:32000]

_LORA = re.compile(r"\.lora_[a-zA-Z_]+(?=\.|$)")  # of a parameter of an adapter, behind the name of its module

_OF_EXPERTS = re.compile(r"\.experts(?=\.|$)")

Matches = Callable[[str, str], bool]


def modules_of(parameters: Iterable[str]) -> list[str]:
    """Return the modules that hold the parameters, and the modules that contain those."""
    found: dict[str, None] = {}
    for name in parameters:
        parts = name.split(".")[:-1]
        found.update(dict.fromkeys(".".join(parts[: end + 1]) for end in range(len(parts))))
    return list(found)


def name_problems(config: Mapping[str, Any], modules: Iterable[str], parameters: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each key with an entry that matches nothing in the model, and what is wrong, with the model's own names."""
    modules, parameters = list(modules), list(parameters)
    for key, entries, matches, names, kind in _wanted(config, modules, parameters):
        for entry in entries:
            if not any(matches(entry, name) for name in names):
                yield key, f"{entry!r} matches no {kind} of the model; {_own(entry, names)}"


def untrained_problems(config: Mapping[str, Any], trained: Iterable[str], grouped: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each key with an entry that names nothing that is trained, and what is wrong: peft and Axolotl ignore those too.

    `trained` are the trained parameters, `grouped` those among them that lr_groups can give a learning rate.
    """
    adapted = list(dict.fromkeys(_adapted(name) for name in trained if _LORA.search(name)))
    if adapted:
        targets = config.get("lora_target_modules")
        of_experts = _EXPERTS if any(_OF_EXPERTS.search(name) for name in adapted) else ()
        for entry in targets if isinstance(targets, list | tuple) else ():
            if entry.rpartition(".")[2] not in of_experts and not any(matches_module(entry, name) for name in adapted):
                yield "lora_target_modules", f"{entry!r} has no adapter in this model; {_own(entry, adapted)}"
        for key in ("lora_rank_pattern", "lora_alpha_pattern"):
            for entry in config.get(key) or {}:
                if not any(_pattern(entry, name) for name in adapted):
                    yield key, f"{entry!r} matches no module with an adapter; {_own(entry, adapted)}"
        wanted = config.get("peft_layers_to_transform")
        there = {int(part) for name in adapted for part in name.split(".") if part.isdigit()}
        for layer in wanted if isinstance(wanted, list) else [] if wanted is None else [wanted]:
            if layer not in there:
                yield "peft_layers_to_transform", f"there is no adapter in layer {layer}, but in {', '.join(map(str, sorted(there)))}"
    if config.get("lora_dropout") and any(re.search(r"\.experts(\.base_layer)*$", name) for name in adapted):
        yield "lora_dropout", "peft has no dropout for experts that are one tensor, and would not load the adapter: set it to 0"
    modules = {name: _adapted(name) if _LORA.search(name) else module_of(name) for name in grouped}
    for entry in (name for group in config.get("lr_groups") or [] for name in group.get("modules", [])):
        if not any(_inside(entry, name) for name in modules):
            yield "lr_groups", f"{entry!r} matches no weight that a group can have; {_own(entry, [*modules.values()])}"


def experts_note(trained: Iterable[str], frozen: Iterable[str]) -> str:
    """Return in words that no expert has an adapter, as those that are one tensor are no linear layers; "" if one has, or there is none."""
    if any(_OF_EXPERTS.search(name) for name in trained) or not any(_OF_EXPERTS.search(name) for name in frozen):
        return ""
    return "the experts have no adapter: this model has them as one tensor, and training.lora_target_modules: all-linear means layers"


def _adapted(parameter: str) -> str:
    """Return the module whose adapter has the parameter, by its name without the adapter."""
    return _LORA.split(parameter)[0].removeprefix("base_model.model.")


def _wanted(
    config: Mapping[str, Any], modules: list[str], parameters: list[str]
) -> Iterator[tuple[str, list[str], Matches, list[str], str]]:
    """Yield what each key names: its entries, how one matches, among which names of which kind."""
    experts = any(module.endswith(".experts") for module in modules)
    if config.get("adapter"):
        for key in ("lora_target_modules", "lora_modules_to_save"):
            wanted = config.get(key) or []
            if isinstance(wanted, str):
                yield key, [wanted], _whole, modules, "module"
            else:
                entries = [name for name in wanted if not (experts and name.rpartition(".")[2] in _EXPERTS)]
                yield key, entries, matches_module, modules, "module"
        for key in ("lora_rank_pattern", "lora_alpha_pattern"):
            yield key, list(config.get(key) or {}), _pattern, modules, "module"
        yield "lora_target_parameters", list(config.get("lora_target_parameters") or []), matches_module, parameters, "parameter"
    groups = [name for group in config.get("lr_groups") or [] for name in group.get("modules", [])]
    yield "lr_groups", groups, _inside, parameters, "parameter"
    unfrozen = config.get("unfrozen_parameters") or []
    yield "unfrozen_parameters", [unfrozen] if isinstance(unfrozen, str) else list(unfrozen), _unfrozen, parameters, "parameter"


def matches_module(entry: str, name: str) -> bool:
    """Return whether a list entry is the name, or its end after a dot."""
    return name == entry or name.endswith(f".{entry}")


def module_of(parameter: str) -> str:
    """Return the module that holds the parameter."""
    return parameter.rpartition(".")[0]


def rank_of(module: str, ranks: Mapping[str, int], default: int) -> int:
    """Return the rank of the module's adapter: that of the first matching pattern, as in peft."""
    return next((rank for pattern, rank in ranks.items() if _pattern(pattern, module)), default)


def _whole(entry: str, name: str) -> bool:
    return re.fullmatch(entry, name) is not None


def _pattern(entry: str, name: str) -> bool:
    return re.match(rf"(.*\.)?({entry})$", name) is not None


def _inside(entry: str, name: str) -> bool:
    return entry in name


def _unfrozen(entry: str, name: str) -> bool:
    """Match like Axolotl's LayerNamePattern: from the start of the name, with literal dots."""
    bare = _RANGE.sub(r"\1", entry)
    return re.match(re.sub(r"\.(?!\+)", r"\\.", bare), name) is not None


def _own(entry: str, names: list[str]) -> str:
    """Return the names to choose from, with the most similar one first."""
    own = sorted({_last(name) for name in names if not _last(name).isdigit()} - {""})
    shown = ", ".join(own[:_SHOWN]) + (", ..." if len(own) > _SHOWN else "")
    return f"{did_you_mean(_last(entry), own)} it has: {shown}".lstrip()


def _last(name: str) -> str:
    """Return a module's own name; for a parameter, with that of its module: q_proj.weight."""
    tail = name.split(".")
    return ".".join(tail[-2:]) if tail[-1] in ("weight", "bias") else tail[-1]
