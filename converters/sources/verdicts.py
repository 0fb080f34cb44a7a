"""Keys by which a row, or a message of a chat, says that it is no good: rated as bad, cut short, failed, hidden or taken back."""

from collections.abc import Callable
from typing import Any

_BAD = ("thumbs_down", "thumbsdown", "thumbs-down", "thumb_down", "down", "downvote", "downvoted", "dislike", "disliked", "negative", "bad",
        "unhelpful", "👎", "-1")  # fmt: skip
_CUT = ("length", "max_tokens", "max_output_tokens", "content_filter", "safety", "recitation", "error", "incomplete", "cancelled",
        "aborted", "refusal")  # fmt: skip


def is_false(value: Any) -> bool:
    """Return whether the value is false, also where it is written as text."""
    return value is False or _word(value) == "false"


def is_true(value: Any) -> bool:
    """Return whether the value is true or 1, also where it is written as text."""
    return value is True or value == 1 or _word(value) in ("true", "1")


def is_rejected(value: Any) -> bool:
    """Return whether the value is an annotator's word for what is not to be used."""
    return _word(value) in ("reject", "rejected", "ignore", "discarded")


def _word(value: Any) -> str:
    return value.strip().lower() if isinstance(value, str) else ""


def _is_rated_bad(value: Any) -> bool:
    """Return whether a rating is negative. Zero and one may be the lowest of a scale, or the best of a vote."""
    if isinstance(value, dict):
        return _is_rated_bad(value.get("rating"))
    return is_false(value) or _word(value) in _BAD or (isinstance(value, int | float) and value < 0)


def _is_no(value: Any) -> bool:
    """Return whether the value is false or 0: `is_safe` in BeaverTails."""
    return is_false(value) or value in (0, "0")


def _was_cut(value: Any) -> bool:
    return _word(value) in _CUT


RATED = "a reply that was rated as bad"
CUT = "a reply that was cut short"
REFUSED = "the annotator's refusal of this row"
FLAGGED = "a reply that was flagged"
_TAKEN_BACK = "a row that was taken back"
# key -> (when its value says so, what it says)
VERDICTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(
        ("rating", "user_rating", "feedback", "user_feedback", "vote", "thumbs", "liked", "is_liked", "annotation"), (_is_rated_bad, RATED)
    ),
    **dict.fromkeys(("is_safe", "is_correct", "is_good", "is_approved", "approved", "keep"), (_is_no, RATED)),
    **dict.fromkeys(("finish_reason", "stop_reason", "done_reason"), (_was_cut, CUT)),
    **dict.fromkeys(("unfinished", "interrupted", "is_truncated"), (is_true, CUT)),
    **dict.fromkeys(("flagged", "is_flagged", "toxic", "is_toxic"), (is_true, FLAGGED)),
    **dict.fromkeys(("error", "is_error"), (is_true, "an error in the place of a reply")),
    **dict.fromkeys(("answer", "status"), (is_rejected, REFUSED)),
    **dict.fromkeys(("deleted", "is_deleted", "was_cancelled", "hidden", "is_hidden", "is_unsent"), (is_true, _TAKEN_BACK)),
}


def camel_case(key: str) -> str:
    """Return the key as JavaScript writes it: `isError`."""
    first, *others = key.split("_")
    return first + "".join(map(str.capitalize, others))


def is_verdict(key: str, value: Any) -> bool:
    """Return whether the key says whether what has it is good. An object does with a `rating`: Open WebUI's `annotation`."""
    return key in VERDICTS and (not isinstance(value, dict) or "rating" in value)


VERDICTS |= {camel_case(key): verdict for key, verdict in VERDICTS.items()}
GONE = [key for key, (_, what) in VERDICTS.items() if what == _TAKEN_BACK]  # also from a log, in which nobody answered them
# Objects in which programs keep what they know of a row or a message, such as LangChain's `response_metadata`.
HOLDERS = frozenset(("metadata", "meta", "extra", "info", "properties", "additional_kwargs", "response_metadata", "generation_info",
                     "moderation", "openai_moderation"))  # fmt: skip
_DEEPEST = 3


def bad_within(key: str, value: Any, depth: int = 0) -> str:
    """Return the path of the first key in such an object that says that what has it is no good: `metadata.flagged`; "" if none does."""
    if depth > _DEEPEST or (depth == 0 and key not in HOLDERS):
        return ""
    if isinstance(value, list):  # one for each message, as WildChat and LMSYS have them
        return next((path for inner in value if isinstance(inner, dict) and (path := bad_within(f"{key}[]", inner, depth + 1))), "")
    for name, inner in dict.items(value) if isinstance(value, dict) else ():
        path = f"{key}.{name}"
        if name in VERDICTS and is_verdict(name, inner) and VERDICTS[name][0](inner):
            return path
        if found := bad_within(path, inner, depth + 1):
            return found
    return ""


def said_by(path: str) -> str:
    """Return what the last key of a path that `bad_within` found says."""
    return VERDICTS[path.rpartition(".")[2]][1]
