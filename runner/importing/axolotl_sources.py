"""Translate Axolotl's datasets into sources with converters. A type without a converter is reported, never guessed."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...schemas.sections import RecordType
from ...schemas.values import value_at
from ...schemas.yaml_writing import path_of
from .draft import Draft

_HUB = re.compile(r"[\w.-]+/[\w.-]+")
_FILES = (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".arrow", ".txt", ".gz", ".zst")
# What a recipe has once for all sources, and what a dataset of Axolotl has that does not say it.
_COMMON: dict[str, tuple[str, Any]] = {
    "roles_to_train": ("training.roles_to_train", ["assistant"]),
    "chat_template": ("model.chat_template", "tokenizer_default"),
}
_IDENTITY = {"user": {"human", "user"}, "assistant": {"gpt", "assistant", "model"}, "system": {"system"}, "tool": {"tool"}}


def put_sources(draft: Draft, folder: Path) -> None:
    """Set data.type and data.sources from datasets and test_datasets."""
    sources: list[dict[str, Any]] = []
    held_out = bool(draft.given.get("test_datasets"))
    read: dict[str, dict[str, Any]] = {}
    for key, split in (("datasets", "train" if held_out else None), ("test_datasets", "validation")):
        given = draft.given.get(key)
        if given is not None and not isinstance(given, list):
            draft.lose(key, "not a list")
        for number, entry in enumerate(given if isinstance(given, list) else ()):
            at = f"{key}.{number}"
            if isinstance(entry, dict):
                found = [source | ({"split": split} if split else {}) for source in _sources(draft, at, entry, folder)]
                sources, read = [*sources, *found], read | ({at: entry} if found else {})
            else:
                draft.lose(at, "not a mapping")
    _compare_common(draft, read)
    if sources:
        draft.values["data"]["sources"] = sources
    if held_out:
        draft.values["data"]["split"] = {"validation": 0}
    if (kind := draft.given.get("record_type")) is not None and kind == draft.values["data"].get("type"):
        draft.note("record_type", "data.type", kind)


def _compare_common(draft: Draft, read: dict[str, dict[str, Any]]) -> None:
    """Report each dataset whose default is not the value that another one has given the recipe."""
    for key, (home, default) in _COMMON.items():
        for at, entry in read.items():
            is_read = key == "roles_to_train" or entry.get("type") != "alpaca"  # whose prompt Axolotl writes without a chat template
            if entry.get(key) is None and is_read and value_at(draft.values, path_of(home)) is not None:
                draft.put(f"{at}.{key}", {home: draft.given.get(key) or default}, "Axolotl's default", "default")


def _sources(draft: Draft, at: str, entry: dict[str, Any], folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the sources of a dataset: one, or one per file. Every key of it is reported."""
    paths = _paths(entry, folder)
    if not paths:
        for key in entry or ("path",):
            draft.lose(f"{at}.{key}", "the dataset has no path")
        return
    found = _converter(draft, at, entry)
    kind = draft.values["data"].setdefault("type", found[0]) if found else None
    if found is None or found[0] != kind:
        why = f"a recipe has one record type, here {kind}" if found else _unfit(entry.get("type"))
        for key in entry:
            draft.lose(f"{at}.{key}", why)
        return
    _, converter, options = found
    for key in entry:
        if f"{at}.{key}" not in draft.entries:
            _account(draft, at, key, entry)
    source = {"converter": converter, **({"options": options} if options else {})}
    for path in paths:
        on_hub = path.startswith("hf:")
        named = {"subset": entry.get("name"), "revision": entry.get("revision"), "hub_split": _hub_split(entry)} if on_hub else {}
        yield {"path": path, **source, **{key: value for key, value in named.items() if value}}


def _unfit(kind: Any) -> str:
    named = f"no converter for rows of type {kind!r}" if kind else "the dataset has no type"
    return f"{named}: choose one (`recipe show --converter NAME`) and add the source"


def _converter(draft: Draft, at: str, entry: dict[str, Any]) -> tuple[RecordType, str, dict[str, Any]] | None:
    """Return record type, converter and options; None if no converter fits the dataset's type."""
    kind = entry.get("type")
    if kind in ("chat_template", "sharegpt") or isinstance(kind, str) and kind.startswith("sharegpt."):
        return _chat(draft, at, entry, kind)
    if kind == "alpaca":
        draft.note(f"{at}.type", "data.sources", "converter alpaca: in the model's chat template, not Alpaca's "
                   "\"Below is an instruction\" prompt")  # fmt: skip
        return "chat", "alpaca", {}
    if kind == "completion":
        if entry.get("ds_type") == "text" or Path(str(entry.get("path"))).suffix == ".txt":
            draft.note(f"{at}.type", "data.sources", "converter text, one record per line")
            return "text", "text", {"sample_by": "line"}
        draft.note(f"{at}.type", "data.sources", "converter table; long texts are split into blocks")
        if field := entry.get("field"):
            draft.note(f"{at}.field", "data.sources", f"option text_key: {field}")
        return "text", "table", {"text_key": field} if field and field != "text" else {}
    if isinstance(kind, dict) and kind.get("field_instruction") and kind.get("field_output"):
        return "chat", "alpaca", _named_columns(draft, f"{at}.type", kind)
    if kind is None and draft.given.get("record_type") in ("text", "classification"):
        return draft.given["record_type"], "table", {}
    return None


def _chat(draft: Draft, at: str, entry: dict[str, Any], kind: str) -> tuple[RecordType, str, dict[str, Any]]:
    mapped = entry.get("message_property_mappings")
    mapped = mapped if isinstance(mapped, dict) else {}
    legacy = kind != "chat_template"
    role = mapped.get("role") or entry.get("message_field_role") or ("from" if legacy else "role")
    content = mapped.get("content") or entry.get("message_field_content") or ("value" if legacy else "content")
    messages = entry.get("field_messages") or ("conversations" if legacy else "messages")
    converter = "sharegpt" if role == "from" else "messages"
    names = ("conversations_key", "from_key", "value_key") if converter == "sharegpt" else ("messages_key", "role_key", "content_key")
    usual = ("conversations", "from", "value") if converter == "sharegpt" else ("messages", "role", "content")
    options = {name: key for name, key, default in zip(names, (messages, role, content), usual, strict=True) if key != default}
    for key in ("field_messages", "message_field_role", "message_field_content", "message_property_mappings"):
        if key in entry:
            draft.note(f"{at}.{key}", "data.sources", f"options of the converter {converter}")
    if further := [name for name in mapped if name not in ("role", "content")]:
        draft.lose(f"{at}.message_property_mappings", f"messages have role and content; not read: {', '.join(further)}")
    if (roles := _roles(entry.get("roles"))) is not None:
        draft.note(f"{at}.roles", "data.sources", "option roles" if roles else "known to the converter")
        options |= {"roles": roles} if roles else {}
    draft.note(f"{at}.type", "data.sources", f"converter {converter}")
    return "chat", converter, options


def _roles(given: Any) -> dict[str, str] | None:
    """Return the converter's option for Axolotl's lists of names by role; None where it is no such mapping."""
    if not isinstance(given, dict) or not given or not all(isinstance(names, list) for names in given.values()):
        return None
    if not given.keys() <= _IDENTITY.keys():
        return None
    return {str(name): role for role, names in given.items() for name in names if name not in _IDENTITY[role]}


def _named_columns(draft: Draft, at: str, kind: dict[str, Any]) -> dict[str, Any]:
    """Translate a user-defined type into options of the converter alpaca."""
    options = {}
    for key, value in kind.items():
        name = key.removeprefix("field_")
        if key in ("field_instruction", "field_input", "field_output"):
            draft.note(f"{at}.{key}", "data.sources", f"converter alpaca, option {name}_key: {value}")
            options |= {f"{name}_key": value} if value and value != name else {}
        elif key == "system_prompt" and value:
            draft.put(f"{at}.{key}", {"data.system_prompt": value})
        elif value in (None, "") or (key, value) == ("field_system", "system"):
            draft.note(f"{at}.{key}", "data.sources", "as in the converter alpaca")
        else:
            draft.lose(f"{at}.{key}", "the model's chat template is used instead")
    return options


def _account(draft: Draft, at: str, key: str, entry: dict[str, Any]) -> None:
    """Report a dataset's key that concerns neither its type nor its columns."""
    value, name = entry[key], f"{at}.{key}"
    on_hub = not _is_local(entry)
    as_usual = {"train_on_eos": "turn", "train_on_eot": "turn", "message_field_training": "train", "trust_remote_code": False,
                "drop_system_message": False, "ds_type": value}  # fmt: skip
    if value is None:
        draft.note(name, "data.sources", "empty")
    elif key == "path" or key == "data_files" and not on_hub:
        draft.note(name, "data.sources", "relative to the recipe" if not on_hub else "hf:owner/name")
    elif key in as_usual and value == as_usual[key]:
        draft.note(name, "data.sources", "always so in recipes")
    elif key in _COMMON:
        draft.put(name, {_COMMON[key][0]: value})
    elif key == "split" and (on_hub or value == "train"):
        if re.search(r"[\[+%]", str(value)):
            draft.lose(name, f"slices are not supported: the split {_hub_split(entry) or 'train'} is read; use data.sources.limit")
        else:
            draft.note(name, "data.sources", "hub_split" if on_hub else "all rows of the file")
    elif key in ("name", "revision") and on_hub:
        draft.note(name, "data.sources", "subset" if key == "name" else "revision")
    elif key in ("shards", "shards_idx"):
        draft.lose(name, "all rows are read; data.sources.limit reads fewer")
    else:
        draft.lose(name, "no such key for sources")


def _hub_split(entry: dict[str, Any]) -> str | None:
    named = re.match(r"\w+", str(entry.get("split") or ""))
    return named[0] if named and named[0] != "train" else None


def _is_local(entry: dict[str, Any]) -> bool:
    path = str(entry.get("path") or "")
    is_file = path.endswith(_FILES) or path.startswith((".", "/", "~")) or os.path.exists(path)
    return is_file or not _HUB.fullmatch(path)


def _paths(entry: dict[str, Any], folder: Path) -> list[str]:
    """Return the paths relative to `folder`: Axolotl's are relative to the working directory. Empty if the dataset has none."""
    if not _is_local(entry):
        return [f"hf:{entry['path']}"]
    files = entry.get("data_files") or entry.get("path") or ""
    named = [str(file) for file in (files if isinstance(files, list) else [files]) if file]
    return [file if file.startswith(("/", "~")) else os.path.relpath(file, folder) for file in named]
