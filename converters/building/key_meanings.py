"""Keys in rows of other tools that change what should be trained. A row is refused if its converter does not read one."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any

from ..reading.records import GENERATED_BY, Drop, RecordValue, Row
from ..sources.registry import Converter
from ..sources.verdicts import (
    CUT,
    FLAGGED,
    HOLDERS,
    RATED,
    REFUSED,
    VERDICTS,
    bad_within,
    camel_case,
    is_false,
    is_rejected,
    is_true,
    said_by,
)
from .key_use import KeyUse, TrackedRow, is_ignored


def _filled(value: Any) -> bool:
    return value not in (None, "", [], {}) and not (isinstance(value, str) and value.strip() in ("", "[]", "{}", "null"))


def _is_bad(value: Any) -> bool:
    return is_false(value) or (value == 0 and not isinstance(value, float)) or value == "0"


_HELD_OUT = ("test", "testing", "validation", "valid", "val", "dev", "eval", "evaluation", "holdout", "held-out", "heldout",
             "publictest", "privatetest")  # fmt: skip


def _is_held_out(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() in _HELD_OUT


def _is_below_one(value: Any) -> bool:
    try:
        return value is not None and not isinstance(value, bool) and 0 <= float(value) < 1
    except (TypeError, ValueError):
        return False


def _are_choices(value: Any) -> bool:
    """Return whether the value holds the texts of several answers. Those of Prodigy are objects, whose labels are read elsewhere."""
    texts = [*value.values()] if isinstance(value, dict) else value
    return isinstance(texts, list) and bool(texts) and all(isinstance(text, str | list) for text in texts)


def _has_text(value: Any) -> bool:
    """Return whether something is there that is no list of numbers: Ollama's `context` holds tokens."""
    return _filled(value) and not (isinstance(value, list) and all(isinstance(item, int) for item in value))


def _is_reasoning(value: Any) -> bool:
    """Return whether the value is a text of some words: `reasoning: high` is a setting."""
    return len(value.split()) >= _SENTENCE if isinstance(value, str) else isinstance(value, list) and any(map(_is_reasoning, value))


_SENTENCE = 4  # words
_PREFERENCE = "preference data is not trained: keep only the preferred replies"
_MEDIA = "only text is trained"
REASONING = "reasoning before the reply"
_OTHER_SPLIT = "a row of a test or validation split: filter it into a source of its own"
EARLIER = ("history", "chat_history", "conversation_history", "dialogue_history", "previous_messages", "previous_utterance")
SPLITS = ("split", "data_split", "dataset_split", "split_name", "partition", "set", "set_type", "data_type", "dataset", "subset", "fold",
          "phase", "train_test", "usage", "ml_use")  # fmt: skip
_CHOICES = "the choices of the question"
_CUT = "a text that was cut off"
# key -> (when its value is significant, why the row cannot be trained without it)
MEANINGS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("system", "system_prompt", "system_message", "system_instruction", "meta_instruction"), (_filled, "a system prompt")),
    **dict.fromkeys(("tools", "functions", "available_tools", "function_description"), (_filled, "tools that the replies call")),
    "tool_calls": (_filled, "calls of tools"),
    "function_call": (_filled, "a call of a tool"),
    **dict.fromkeys(("reasoning_content", "thinking"), (_filled, REASONING)),
    **dict.fromkeys(("corrected", "revised"), (_is_reasoning, "a better reply")),
    **dict.fromkeys(("image", "images", "image_path", "image_paths", "video", "videos", "audio", "audios"), (_filled, _MEDIA)),
    "rejected": (_filled, _PREFERENCE),
    "rejected_response": (_filled, _PREFERENCE),
    "kto_tag": (_is_bad, "a reply that was labelled as bad"),
    "label": (_is_bad, "a reply that was labelled as bad"),
    **VERDICTS,
    **dict.fromkeys(("AssignmentStatus", "ASSIGNMENT:status"), (is_rejected, REFUSED)),  # of Mechanical Turk and Toloka
    "truncated": (is_true, _CUT),  # of Twitter
    "truncated_cells": (_filled, _CUT),  # of the Hugging Face dataset viewer
    **dict.fromkeys(SPLITS, (_is_held_out, _OTHER_SPLIT)),
    **dict.fromkeys(("is_test", "is_validation", "is_val", "is_dev", "is_holdout", "holdout"), (is_true, _OTHER_SPLIT)),
    "is_valid": (is_true, "a row of the validation split, as fastai marks it, or one that was checked"),
    "is_train": (_is_bad, _OTHER_SPLIT),
    **dict.fromkeys(("train", "trainable", "loss"), (is_false, "a row that is not to be trained")),
    **dict.fromkeys(("loss_mask", "assistant_masks", "completion_mask"), (_filled, "a mask of what is trained")),
    **dict.fromkeys(("weight", "sample_weight", "loss_weight"), (_is_below_one, "a weight: rows of weight 0 are not to be trained")),
    "chat_template_kwargs": (_filled, "arguments of the chat template"),
    "context": (_has_text, "a context that the question refers to"),
    **dict.fromkeys(EARLIER, (_filled, "earlier turns")),
    "documents": (_filled, "documents that the question refers to"),
    **dict.fromkeys(("choices", "options", "endings"), (_are_choices, _CHOICES)),
    **dict.fromkeys(
        ("choice1", "choice2", "option1", "option2", "sol1", "sol2", "opa", "opb", "ending0", "ending1", "holding_0", "holding_1"),
        (_filled, _CHOICES),
    ),
}


for _spelt in (str.capitalize, str.upper, camel_case):
    MEANINGS |= {_spelt(key): meaning for key, meaning in MEANINGS.items() if _spelt(key) not in MEANINGS}
_PLACES = {key: place for place, key in enumerate(MEANINGS)}  # the first of a row's keys is named
# Also with the name of a model before it, as in `deepseek_reasoning`; what a judge thought of the reply is another thing.
_THOUGHT = re.compile(
    r"(?!.*(?:judge|score|scoring|rating|grade|grading|label|eval|critic|critique|review|reward|annotat|prefer))"
    r"(?:.*[_ ])?(?:reasoning(?:_trace)?|rationale|thinking|chain_of_thought|cot|thoughts?|thinking_trajector(?:y|ies))",
    re.IGNORECASE,
)
OF_REPLIES = (RATED, CUT, FLAGGED)
# They say which rows to train.
_OF_ROWS = (*VERDICTS, "assignmentstatus", "assignment:status", *SPLITS, "is_test", "is_validation", "is_val", "is_dev", "is_holdout",
            "holdout", "is_valid", "is_train", "train", "trainable", "truncated")  # fmt: skip


def key_use(module: Converter, ignore_keys: Iterable[str]) -> KeyUse:
    """Return the tracker for a converter's rows. It ignores the keys that the recipe lists, and those that the source system (a module's
    UNUSED_KEYS) or `recipe generate` writes for its own use."""
    ignored = frozenset((*ignore_keys, *getattr(module, "UNUSED_KEYS", ()), GENERATED_BY, f"metadata.{GENERATED_BY}"))
    return KeyUse(ignored, partial(_significant_keys, ignored=ignored))


def meaning(key: str) -> tuple[Callable[[Any], bool], str] | None:
    """Return when the value of a key is significant, and why; None for a key that means nothing here."""
    return MEANINGS.get(key) or ((_is_reasoning, REASONING) if _THOUGHT.fullmatch(str(key)) else None)


@lru_cache(maxsize=64)  # rows of a source have few shapes
def _with_meaning(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key for key in keys if key in HOLDERS or meaning(key))


def _significant_keys(row: dict[str, Any], ignored: frozenset[str]) -> tuple[str, ...]:
    """Return the row's keys that must be read because of their values, and the paths of those within its metadata."""
    if not (keys := _with_meaning(tuple(row))):
        return ()
    found: list[str] = []
    for key in keys:
        if (meant := meaning(key)) and meant[0](row[key]):
            found.append(key)
        elif path := bad_within(key, row[key]):
            found.append(path)
    return tuple(key for key in found if not is_ignored(key, ignored))


def refusal(row: Row, converter: str, fields: RecordValue) -> Drop | None:
    """Return a drop if a significant key of the tracked row was not read, or None. A class or a rating of a text judges no reply, and
    nobody reasons before a label."""
    value: TrackedRow = row.value
    for key in sorted(value.must_read, key=lambda key: (_PLACES.get(key, len(_PLACES)), key)):
        what = meant[1] if (meant := meaning(key)) else said_by(key)
        is_of_reply = what in OF_REPLIES and "messages" not in fields or what == REASONING and "label" in fields
        if converter == "table" and ((key == "label" and "text" in value) or is_of_reply):
            continue
        how = "; keep_rows leaves such rows out" if converter == "table" and key.rpartition(".")[2].lower() in _OF_ROWS else ""
        return Drop(row, "key_not_read", f"{key!r} ({what}) is not read by the converter {converter}{how}")
    return None
