"""Whether Axolotl keeps what we rendered: every key must survive its validation with its value."""

from typing import Any

# Keys whose value Axolotl rewrites to the same meaning: to a path, a default section, a list of resolved entries.
_REWRITTEN = {"datasets", "test_datasets", "plugins", "base_model", "fsdp_config", "val_set_size"}


def lost_keys(rendered: dict[str, Any], loaded: dict[str, Any]) -> list[str]:
    """A line for each rendered key that validation removed or changed; empty when the file means what it says."""
    lost = []
    for key, value in rendered.items():
        if key not in loaded or loaded[key] is None:
            lost.append(f"{key}: {value!r} is removed")
        elif key in _REWRITTEN:
            lost += _lost_inside(key, value, loaded[key])
        elif not _same(value, loaded[key]):
            lost.append(f"{key}: {value!r} becomes {loaded[key]!r}")
    return lost


def _lost_inside(key: str, value: Any, loaded: Any) -> list[str]:
    if not isinstance(value, list):
        return []
    if len(value) != len(loaded):
        return [f"{key}: {len(value)} entries become {len(loaded)}"]
    pairs = zip(value, loaded, strict=True)
    return [
        f"{key}[{index}].{name}: {wanted!r} becomes {dict(found).get(name)!r}"
        for index, (entry, found) in enumerate(pairs)
        if isinstance(entry, dict)
        for name, wanted in entry.items()
        if not _same(wanted, dict(found).get(name))
    ]


def _same(value: Any, loaded: Any) -> bool:
    if isinstance(value, dict) and isinstance(loaded, dict):
        return all(_same(inner, loaded.get(key)) for key, inner in value.items())
    if isinstance(value, list) and isinstance(loaded, list | tuple):
        return len(value) == len(loaded) and all(map(_same, value, loaded))
    return value == loaded or str(value) == str(getattr(loaded, "value", loaded))
