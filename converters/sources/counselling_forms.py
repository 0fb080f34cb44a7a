"""Read the forms in which EmoLLM stores conversations as one: a system prompt and question-answer turns. The keys identify the form."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from . import alpaca
from .sharegpt import role as sharegpt_role
from .turns import Pair, history_pairs

_FLAT = re.compile(r"(?P<system>.*?)(?:\A|\n\n)对话：\n来访者：(?P<dialogue>.*\n医生：)", re.DOTALL)


class Conversation(NamedTuple):
    """The content of a row. `pairs` are (question, answer); values that are not text are refused later."""

    form: str
    pairs: list[Pair]
    system: Any = None


class Fault(NamedTuple):
    """Why a row is not a conversation."""

    reason: str
    detail: str = ""


def read_conversation(value: Any) -> Conversation | Fault:
    """Return the row's conversation, or what is wrong with it."""
    if not isinstance(value, dict):
        return Fault("not_an_object", f"a row is {type(value).__name__}")
    if "conversation" in value:
        return _native(value)
    for keys, read in _FORMS.items():
        if all(key in value for key in keys):
            return read(value)
    known = ", ".join(" and ".join(keys) for keys in (("conversation",), *_FORMS))
    return Fault("unknown_form", f"has {', '.join(map(str, list(value)[:6])) or 'no keys'}; expected {known}")


def _native(value: dict[str, Any]) -> Conversation | Fault:
    """Read `{"conversation": [{"system", "input", "output"}, {"input", "output"}, ...]}`, with the rules of the source's check.py for its
    turns, and more. Capybara has such rows too, with a key `source`: other keys are reported as those of any source."""
    turns = value["conversation"]
    if not isinstance(turns, list):
        return Fault("conversation_not_a_list", type(turns).__name__)
    if not turns:
        return Fault("empty_conversation")
    for index, turn in enumerate(turns):
        if fault := _turn_fault(turn, index):
            return fault
    return Conversation("native", [(turn["input"], turn["output"]) for turn in turns], turns[0].get("system"))


def _turn_fault(turn: Any, index: int) -> Fault | None:
    if not isinstance(turn, dict) or not turn:
        return Fault("empty_turn" if turn in ({}, None) else "turn_not_an_object", f"turn {index}")
    if unknown := sorted(set(turn) - {"system", "input", "output"}):
        return Fault("unknown_turn_key", f"turn {index} has {', '.join(unknown)}")
    if missing := {"input", "output"} - set(turn):
        return Fault(f"missing_{min(missing)}", f"turn {index}")
    if index and "system" in turn:
        return Fault("system_not_first", f"turn {index} has a system prompt")
    return None


def _swift(value: dict[str, Any]) -> Conversation | Fault:
    history = history_pairs(value.get("history"))
    if history is None:
        return Fault("unknown_history", "expected a list of {query, response} or [query, response]")
    return Conversation("swift", [*history, (value["query"], value["response"])], value.get("system"))


def _alpaca(value: dict[str, Any]) -> Conversation | Fault:
    history = history_pairs(value.get("history"))
    if history is None:
        return Fault("unknown_history", "expected a list of [question, answer]")
    if not history and isinstance(value["instruction"], str) and (flat := _FLAT.fullmatch(value["instruction"])):
        return _unflattened(flat["system"], flat["dialogue"], value["output"])
    question = alpaca.prompt(value["instruction"], value.get("input"))
    return Conversation("alpaca", [*history, (question, value["output"])], value.get("system"))


def _unflattened(system: str, dialogue: str, output: Any) -> Conversation | Fault:
    """Split the evaluation's form, a dialogue written into one question, into turns."""
    turns = [turn.split("\n医生：", 1) for turn in dialogue.split("\n来访者：")]
    if any(len(turn) != 2 for turn in turns):
        return Fault("roles_do_not_alternate", "the dialogue within the instruction has a question without an answer")
    turns[-1][1] += output if isinstance(output, str) else ""
    return Conversation("flat", [(asked, answered) for asked, answered in turns], system or None)


def _sharegpt(value: dict[str, Any]) -> Conversation | Fault:
    turns = value["conversations"]
    if not isinstance(turns, list) or not turns:
        return Fault("empty_conversation")
    spoken = [(sharegpt_role(turn.get("from")), turn.get("value")) if isinstance(turn, dict) else (None, turn) for turn in turns]
    system = value.get("system") or None
    if spoken[0][0] == "system":
        if system not in (None, spoken[0][1]):
            return Fault("two_system_prompts", "the row's system prompt differs from its system turn")
        system, spoken = spoken[0][1], spoken[1:]
    roles = [role for role, _ in spoken]
    if roles != ["user", "assistant"] * (len(spoken) // 2) or not spoken:
        return Fault("roles_do_not_alternate", f"the turns are from {', '.join(str(turn) for turn in roles[:6])}")
    contents = [content for _, content in spoken]
    return Conversation("sharegpt", list(zip(contents[::2], contents[1::2], strict=True)), system)


def _pair(question: str, answer: str) -> Callable[[dict[str, Any]], Conversation | Fault]:
    return lambda value: Conversation(f"{question}_{answer}", [(value[question], value[answer])], value.get("system"))


_FORMS: dict[tuple[str, ...], Callable[[dict[str, Any]], Conversation | Fault]] = {
    ("conversations",): _sharegpt,
    ("query", "response"): _swift,
    ("instruction", "output"): _alpaca,
    ("prompt", "completion"): _pair("prompt", "completion"),
    ("question", "answer"): _pair("question", "answer"),
    ("input", "output"): _pair("input", "output"),
}
