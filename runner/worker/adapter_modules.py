"""Names of an adapter's modules held to the model: peft passes over a name that matches nothing, as long as another one does."""

import difflib
import re
from collections.abc import Iterable

_SHOWN = 12
_EXPERTS = {"w1", "w2", "w3", "gate_proj", "up_proj", "down_proj"}  # fused in memory; peft translates these names


def module_problems(cfg_key: str, wanted: str | Iterable[str] | None, modules: Iterable[str]) -> list[str]:
    """Say of each entry that matches no module of the model so, with the model's own names. A text is a regular expression, as in peft."""
    modules = list(modules)
    if isinstance(wanted, str):
        entries = [wanted] if not any(re.fullmatch(wanted, module) for module in modules) else []
    else:
        fused = _EXPERTS if any(module.endswith(".experts") for module in modules) else set()
        entries = [
            name
            for name in wanted or ()
            if name.rpartition(".")[2] not in fused and not any(module == name or module.endswith(f".{name}") for module in modules)
        ]
    own = sorted({module.rpartition(".")[2] for module in modules if not module.rpartition(".")[2].isdigit()} - {""})
    return [f"{cfg_key}: {entry!r} matches no module of the model; {_own(entry, own)}" for entry in entries]


def _own(entry: str, own: list[str]) -> str:
    """The names to choose from, the nearest first where one is near."""
    near = difflib.get_close_matches(entry.rpartition(".")[2], own, n=1)
    shown = ", ".join(own[:_SHOWN]) + (", ..." if len(own) > _SHOWN else "")
    return (f"did you mean {near[0]!r}? " if near else "") + f"it has: {shown}"
