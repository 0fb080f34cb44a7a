"""Names of a model's modules and parameters in a configuration: peft and Axolotl pass over those that match nothing.

Keys are Axolotl's. How each kind of name matches is peft's (modules), or Axolotl's (lr_groups, unfrozen_parameters).
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

_SHOWN = 12
_EXPERTS = {"w1", "w2", "w3", "gate_proj", "up_proj", "down_proj"}  # fused in memory; peft translates these names
_RANGE = re.compile(r"^(.+)\[[0-9]*(?::[0-9]*)?\]$")  # rows of a parameter: ^lm_head.weight$[:32000]

Matches = Callable[[str, str], bool]


def modules_of(parameters: Iterable[str]) -> list[str]:
    """The modules that hold the parameters, and the modules around them."""
    found: dict[str, None] = {}
    for name in parameters:
        parts = name.split(".")[:-1]
        found.update(dict.fromkeys(".".join(parts[: end + 1]) for end in range(len(parts))))
    return list(found)


def name_problems(config: Mapping[str, Any], modules: Iterable[str], parameters: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each key with an entry that matches nothing in the model, and what is wrong, with the model's own names."""
    modules, parameters = list(modules), list(parameters)
    for key, entries, matches, names, kind in _wanted(config, modules, parameters):
        for entry in entries:
            if not any(matches(entry, name) for name in names):
                yield key, f"{entry!r} matches no {kind} of the model; {_own(entry, names)}"


def _wanted(
    config: Mapping[str, Any], modules: list[str], parameters: list[str]
) -> Iterator[tuple[str, list[str], Matches, list[str], str]]:
    """What each key names: entries, how one matches, among which names of which kind."""
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
    """Whether the entry of a list is the name, or its end from a dot on."""
    return name == entry or name.endswith(f".{entry}")


def module_of(parameter: str) -> str:
    """The module that holds the parameter."""
    return parameter.rpartition(".")[0]


def rank_of(module: str, ranks: Mapping[str, int], default: int) -> int:
    """The rank of the module's adapter: that of the first pattern which matches it, as in peft."""
    return next((rank for pattern, rank in ranks.items() if _pattern(pattern, module)), default)


def _whole(entry: str, name: str) -> bool:
    return re.fullmatch(entry, name) is not None


def _pattern(entry: str, name: str) -> bool:
    return re.match(rf"(.*\.)?({entry})$", name) is not None


def _inside(entry: str, name: str) -> bool:
    return entry in name


def _unfrozen(entry: str, name: str) -> bool:
    """As Axolotl's LayerNamePattern: from the name's start on, and a dot is a dot."""
    bare = _RANGE.sub(r"\1", entry)
    return re.match(re.sub(r"\.(?!\+)", r"\\.", bare), name) is not None


def _own(entry: str, names: list[str]) -> str:
    """The names to choose from, the nearest first where one is near."""
    own = sorted({_last(name) for name in names if not _last(name).isdigit()} - {""})
    near = difflib.get_close_matches(_last(entry), own, n=1)
    shown = ", ".join(own[:_SHOWN]) + (", ..." if len(own) > _SHOWN else "")
    return (f"did you mean {near[0]!r}? " if near else "") + f"it has: {shown}"


def _last(name: str) -> str:
    """A module's own name; of a parameter, with its module's: q_proj.weight."""
    tail = name.split(".")
    return ".".join(tail[-2:]) if tail[-1] in ("weight", "bias") else tail[-1]
