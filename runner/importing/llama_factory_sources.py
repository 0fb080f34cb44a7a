"""Translate the datasets of a LLaMA-Factory configuration, by its dataset_info.json, into sources."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from ...converters.sources import sharegpt
from ...schemas.base.errors import UserError
from .draft import Draft

COLUMNS = {"prompt": "instruction_key", "query": "input_key", "response": "output_key"}
ROLE_TAGS = {"user_tag": "user", "assistant_tag": "assistant", "observation_tag": "tool", "system_tag": "system"}
# What of a dataset's description is translated, by the converter; the rest is reported.
DESCRIBED = {"file_name", "hf_hub_url", "subset", "split", "formatting", "ranking", "columns", "tags"}
READ_COLUMNS = {"alpaca": {*COLUMNS}, "sharegpt": {"messages", "system"}, "messages": {"messages"}, "table": {"prompt"}}
READ_TAGS: dict[str, tuple[str, ...]] = dict.fromkeys(("sharegpt", "messages"), ("role_tag", "content_tag", *ROLE_TAGS))
ONE_LINE_BETWEEN = "{instruction}\n{input}"  # the converter's own question has an empty line there
INFO = "dataset_info.json"
MEDIA = ("images", "videos", "audios")
# What a converter reads of a row under these names, and LLaMA-Factory only where the description names a column.
UNASKED = {"alpaca": {"query": "input", "system": "system", "history": "history"}, "sharegpt": {"system": "system"},
           "messages": {"system": "system"}}  # fmt: skip
PEEK = 1 << 20  # bytes of a file in which its keys are looked for
OWN_NAMES = {("alpaca", "system"), ("alpaca", "history"), ("messages", "system")}  # columns that the converter reads under these names only


def put_datasets(draft: Draft, folder: Path) -> None:
    """Set data.type and data.sources from the names of datasets, which dataset_info.json describes."""
    home = Path(str(draft.given.get("dataset_dir") or "data"))
    kind = {"sft": "chat", "pt": "text"}.get(str(draft.given.get("stage", "sft")))
    sources: list[dict[str, Any]] = []
    for key in ("dataset", "eval_dataset"):
        if not (value := draft.given.get(key)):
            continue
        names = [name.strip() for name in str(value).split(",")]
        found = {name: _source(home, name, kind, folder) for name in names}
        split = {"split": "validation"} if key == "eval_dataset" else {}
        limit = {"limit": draft.given["max_samples"]} if draft.given.get("max_samples") else {}
        sources += [{**source, **split, **limit} for source in found.values() if isinstance(source, dict)]
        pictured: list[str] = []
        unread = [f"{name}: {why}" for name, why in found.items() if isinstance(why, str)]
        for name, source in found.items():
            facts = _described(home, name) if os.path.isfile(home / INFO) else None
            if media := [column for column in MEDIA if ((facts or {}).get("columns") or {}).get(column)]:
                pictured.append(f"{name} has {' and '.join(media)}")
            if isinstance(source, dict):
                for what, why in _undescribed(facts or {}, source["converter"]):
                    draft.lose(f"{key} {name}: {what}", why)
                if further := _unasked(facts or {}, source["converter"], home):
                    why = f"LLaMA-Factory reads no {' and no '.join(further)} of its rows; the converter does, of each row that has one"
                    draft.lose(f"{key} {name}: columns", why)
        if pictured:
            draft.refuse(key, f"recipes support text models only, not vision or audio: {', '.join(pictured)}")
        else:
            draft.lose(key, "; ".join(unread)) if unread else draft.note(key, "data.sources", f"from {home / 'dataset_info.json'}")
    draft.values["data"] |= {"type": kind} if kind else {}
    draft.values["data"] |= {"sources": sources} if sources else {}
    if draft.given.get("eval_dataset"):
        draft.values["data"]["split"] = {"validation": 0}


def _source(home: Path, name: str, kind: str | None, folder: Path) -> dict[str, Any] | str:
    """Return the source of a dataset, or why there is none."""
    if not os.path.isfile(home / INFO):  # False for a name that is too long, too
        return f"no such file: {home / 'dataset_info.json'}; import it in LLaMA-Factory's folder, or add the source yourself"
    if (facts := _described(home, name)) is None:
        return f"{home / 'dataset_info.json'} does not describe it"
    if facts.get("ranking") or kind is None or facts.get("formatting", "alpaca") not in ("alpaca", "sharegpt", "openai"):
        return "no converter for this dataset"
    if hub := facts.get("hf_hub_url"):
        path = f"hf:{hub}"
    elif file := facts.get("file_name"):
        path = os.path.relpath(home / str(file), folder)
    else:
        return "it names neither a file nor a Hub dataset"
    converter, options = _converter(facts, kind)
    named = {"subset": facts.get("subset"), "hub_split": facts.get("split")} if hub else {}
    return {"path": path, "converter": converter, **({"options": options} if options else {}), **{k: v for k, v in named.items() if v}}


def _described(place: Path, name: str) -> dict[str, Any] | None:
    """Return the description of the dataset in dataset_info.json; None if there is none."""
    try:
        described = orjson.loads((place / INFO).read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{place / 'dataset_info.json'}: cannot be read: {error}") from None
    facts = described.get(name) if isinstance(described, dict) else None
    return facts if isinstance(facts, dict) else None


def _undescribed(facts: dict[str, Any], converter: str) -> Iterator[tuple[str, str]]:
    """Yield what the description says and the source does not, each with the reason."""
    for key, value in facts.items():
        if key not in DESCRIBED and value:
            sampled = "LLaMA-Factory draws rows at random; data.sources.limit takes the first ones"
            yield key, sampled if key == "num_samples" else "no such key for sources"
    for column, name in (facts.get("columns") or {}).items():
        if name and column not in READ_COLUMNS[converter] and not ((converter, column) in OWN_NAMES and name == column):
            yield f"columns.{column}", f"the converter {converter} reads no column {name!r} as {column}"
    for tag, name in (facts.get("tags") or {}).items():
        if tag not in READ_TAGS.get(converter, ()):
            yield f"tags.{tag}", f"the converter {converter} has no such tag: {name!r}"


def _unasked(facts: dict[str, Any], converter: str, home: Path) -> list[str]:
    """Return the keys that the converter would read of the rows, and LLaMA-Factory does not: the description names no column for them."""
    columns = facts.get("columns")
    named = {"query": "input"} if columns is None else columns  # where it names no column at all, the input has its usual name
    return [key for column, key in UNASKED.get(converter, {}).items() if not named.get(column) and _may_have(facts, home, key)]


def _may_have(facts: dict[str, Any], home: Path, key: str) -> bool:
    """Return whether rows of the dataset have the key: they may, where they cannot be looked at."""
    file = home / str(facts.get("file_name"))
    if facts.get("hf_hub_url") or file.suffix not in (".json", ".jsonl", ".csv"):
        return True
    if not os.path.isfile(file):
        return False
    with file.open("rb") as stream:
        head = stream.read(PEEK)
    return key.encode() in re.split(rb"\W+", head.partition(b"\n")[0]) if file.suffix == ".csv" else f'"{key}"'.encode() in head


def _converter(facts: dict[str, Any], kind: str) -> tuple[str, dict[str, Any]]:
    columns, tags = ({} if not isinstance(found := facts.get(name), dict) else found for name in ("columns", "tags"))
    if kind == "text":
        options = {"text_key": columns.get("prompt", "text")}
        return "table", {} if options == {"text_key": "text"} else options
    if facts.get("formatting", "alpaca") == "alpaca":
        named = {ours: columns[theirs] for theirs, ours in COLUMNS.items() if columns.get(theirs, ours[:-4]) != ours[:-4]}
        return "alpaca", named | {"with_input": ONE_LINE_BETWEEN}
    if facts.get("formatting") == "openai":
        wanted = {"messages_key": columns.get("messages"), "role_key": tags.get("role_tag"), "content_key": tags.get("content_tag")}
        roles = {tags[tag]: role for tag, role in ROLE_TAGS.items() if tags.get(tag, role) != role}
        named = {key: value for key, value in wanted.items() if value and value != key[:-4]}
        return "messages", named | ({"roles": roles} if roles else {})
    wanted = {"conversations_key": columns.get("messages"), "from_key": tags.get("role_tag"), "value_key": tags.get("content_tag"),
              "system_key": columns.get("system")}  # fmt: skip
    roles = {tags[tag]: role for tag, role in ROLE_TAGS.items() if tags.get(tag) and sharegpt.role(tags[tag]) != role}
    named = {key: value for key, value in wanted.items() if value and value != key[:-4]}
    return "sharegpt", named | ({"roles": roles} if roles else {})
