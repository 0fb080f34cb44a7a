"""Render rows with the recipe's chat template before anything is loaded: which it refuses, and which words it leaves out.

The audit of a run, and of `recipe mask`, follows every character into the tokens; this needs only the template, not torch.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...converters.building.row_encoder import with_system_prompt
from ...converters.reading.records import Record, RecordValue
from ...schemas.base.counted import counted
from ...schemas.base.errors import Problem
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import Data, Model, Recipe
from .chat_templates import (
    NO_TEMPLATE_HINT,
    OWN_TEMPLATE,
    SYSTEM_HINT,
    axolotl_template,
    own_template,
    special_tokens,
    template_prefix,
    tokenizer_folder,
)
from .template_check import chat_texts, render_chats

ROWS = 200  # of each source
LISTED = 3
_PLACE = ("model", "chat_template")
_OTHER = "choose another model.chat_template"


def template_problems(loaded: LoadedRecipe, records: Sequence[Record]) -> Iterator[Problem]:
    """Yield what the recipe's chat template does to the first rows that a run would refuse; nothing if it is unavailable."""
    model, data = loaded.recipe.model, loaded.recipe.data
    if (
        data.type == "chat"
        and data.reasoning == "drop"
        and (bare := [record for record in records[:ROWS] if _is_reasoning_alone(record, loaded.recipe.training.roles_to_train)])
    ):
        what = f"drop leaves no reply in {_counted(bare, records[:ROWS])}: {_listed((record, 'reasoning alone') for record in bare)}"
        yield Problem(loaded.document.location(("data", "reasoning")), what, "remove the rows: they have no answer to train", "reasoning")
    own, template = model.chat_template == OWN_TEMPLATE, template_of(model)
    if data.type != "chat" or template is None:
        return
    location = loaded.document.location(_PLACE)
    if not template:
        if own:
            yield Problem(location, f"{model.base_model} has no chat template", NO_TEMPLATE_HINT, "chat-template")
        return
    name = "the model's own chat template" if own else f"the chat template {model.chat_template}"
    records = records[:ROWS]
    fields = [with_system_prompt(record.fields, data.system_prompt) for record in records]
    found = render_chats(_prefix(data) + template, [for_template(one["messages"]) for one in fields])
    if found.refused:
        is_system = any("system" in message.lower() for message in found.refused.values())
        listed = _listed((records[number], message) for number, message in found.refused.items())
        what = f"{name} refuses {_counted(found.refused, records)}: {listed}"
        yield Problem(location, what, SYSTEM_HINT if is_system else f"{_OTHER}, or change the rows", "chat-template")
    for role in dict.fromkeys(role for role, _ in found.lost.values()):
        of_role = {number: word for number, (lost_by, word) in found.lost.items() if lost_by == role}
        listed = _listed((records[number], repr(word)) for number, word in of_role.items())
        what = f"{name} leaves out words of the {role} message in {_counted(of_role, records)}: {listed}"
        yield Problem(location, what, SYSTEM_HINT if role == "system" else _OTHER, "chat-template")


def _is_reasoning_alone(record: Record, roles: Sequence[str]) -> bool:
    """Return whether nothing is left of any message that is trained when its reasoning is dropped: see DROP_REASONING."""
    trained = [message for message in record.fields["messages"] if message.get("train", message["role"] in roles)]
    parts = (
        (message["role"], message["content"].lstrip().startswith("<think>"), message["content"].partition("</think>"))
        for message in trained
    )
    return all(role == "assistant" and thinks and end and not rest.strip() for role, thinks, (_, end, rest) in parts)


def date_note(recipe: Recipe) -> str:
    """Return that the recipe's chat template writes today's date, in words; "" if it does not, or is not on this machine."""
    if recipe.data.type != "chat" or "strftime_now" not in (template_of(recipe.model) or ""):
        return ""
    return "the chat template writes today's date: chats that are evaluated or asked on another day get other tokens than were trained"


def rendered_rows(recipe: Recipe, rows: Sequence[RecordValue]) -> list[str]:
    """Return the chats as rendered by the recipe's chat template; [] if the template or model is unavailable, or refuses one."""
    folder = tokenizer_folder(recipe.model)
    template = template_of(recipe.model)
    if not folder or not template:
        return []
    return chat_texts(_prefix(recipe.data) + template, [for_template(row["messages"]) for row in rows], special_tokens(folder))


def template_of(model: Model) -> str | None:
    """Return the chat template that the recipe names: "" if there is none, None if it is not on this machine."""
    return own_template(model) if model.chat_template == OWN_TEMPLATE else axolotl_template(model.chat_template)


def for_template(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages as a template gets them: whether one is trained is not its business."""
    return [{key: value for key, value in message.items() if key != "train"} for message in messages]


def _prefix(data: Data) -> str:
    return template_prefix(data.system_role == "fold", data.reasoning == "drop")


def _counted(found: Sequence[int] | Sequence[Record] | dict[int, str], records: Sequence[Record]) -> str:
    return f"{len(found)} of the first {counted(len(records), 'row')}"


def _listed(rows: Iterable[tuple[Record, str]]) -> str:
    shown = [f"{record.row} ({text})" for record, text in rows]
    return "; ".join(shown[:LISTED]) + ("; ..." if len(shown) > LISTED else "")
