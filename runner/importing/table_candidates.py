"""List ways to read the columns of rows: as questions with their answers, as labelled texts, as texts."""

from collections.abc import Iterator
from typing import Any

from ...converters.sources.key_paths import is_path
from ...schemas.base.counted import counted
from .candidate import Candidate, changed
from .columns import (
    ANSWER_ENDINGS,
    ASSISTANT,
    CONTEXT,
    LABEL_ENDINGS,
    PREDICTED,
    QUESTION_ENDINGS,
    SHORTER,
    SYSTEM,
    TEXT,
    TEXT_ENDINGS,
    USER,
    Columns,
    folded,
)
from .nested import all_levels


def tables_of(columns: Columns) -> Iterator[Candidate]:
    """Yield the candidates for rows with columns of texts: questions with their answers, labelled texts, texts."""
    if columns.nested_answers():
        return  # no other column takes their place
    asked, answered = columns.ending(QUESTION_ENDINGS), columns.ending(ANSWER_ENDINGS)
    codes = [name for name in columns.names if columns.are_codes(name)]
    exact = columns.named(ASSISTANT, but=codes)
    made_of = () if (source := columns.named(("source",))) in columns.texts else (source,)  # where rows come from
    is_pair = columns.named(("target", "targets")) and not columns.named(TEXT)  # a word and its translation
    user = (
        columns.named(USER, but=made_of)
        or next(iter(asked), None)
        or columns.named(CONTEXT)
        or columns.replied_to([exact] if exact else answered)
        or (source if is_pair else None)
    )
    answers = [exact, *_also(columns, exact)] if exact and exact != user else answered or columns.numbered(ANSWER_ENDINGS)
    assistant = next(iter(answers), None)
    named_labels = sorted(
        (name for name in columns.ending(LABEL_ENDINGS) if columns.is_label(name)), key=lambda name: bool(PREDICTED.search(folded(name)))
    )
    named_labels += [name for name in codes if folded(name) in ASSISTANT]  # `answer` of true and false
    label = columns.labelled(but=(user, assistant, "type" if columns.speaker() else None)) or next(iter(named_labels), None)
    if label in columns.texts and not columns.is_label(label):
        label = None  # `note`, a mark in French and a text in English
    text = columns.named(TEXT, but=(label,)) or next((name for name in columns.ending(TEXT_ENDINGS) if name in columns.texts), None)
    is_label = bool(label and columns.is_label(label))
    both = bool(user and assistant and text and is_label)
    if user:
        for answer in answers:
            yield _questions(columns, user, answer, doubt=both or len(answers) > 1)
    answers_in_list = [name for name in columns.texts if is_path(name) and folded(name) in ASSISTANT]
    named_text, text = text, text or next((name for name in columns.texts if name not in (label, *answers_in_list)), None)
    if text and label and is_label:
        more = columns.other_labels(label)
        yield from (_labelled(columns, text, name, doubt=both or bool(more)) for name in (label, *more))
    if user and assistant:
        return
    if not is_label and (asking := columns.asking()):
        yield _questions(columns, *asking, doubt=False)
    others = [] if is_label else [name for name in columns.labels if name != text][:3]
    pair = [name for name in columns.names if name in columns.texts][:2]
    is_made = any(folded(name) in SHORTER for name in pair)
    doubt = bool(others or len(pair) == 2 and (is_made or not named_text)) and not is_label
    found = [_labelled(columns, text, name, doubt) for name in others] if text else []
    plain = [_text(columns, text, doubt, None if is_label else label)] if text else []
    yield from (*plain, *found) if named_text else (*found, *plain)
    if len(pair) == 2:
        yield from (_questions(columns, pair[0], pair[1], doubt=True), _questions(columns, pair[1], pair[0], doubt=True))


def _are_no_texts(values: list[Any]) -> bool:
    return bool(values) and not any(isinstance(value, str) for value in values)


def _also(columns: Columns, answer: str) -> list[str]:
    """Return the other columns of long answers: a `solution` beside an `answer` that may be its last number."""
    named = [columns.named((name,), but=(answer,)) for name in ("solution", "answer", "response")]
    return [name for name in named if name and name in columns.texts]


def _questions(columns: Columns, user: str, assistant: str, doubt: bool) -> Candidate:
    system = columns.named(SYSTEM)
    named = changed(user_key=(user, "user"), assistant_key=(assistant, "assistant"), system_key=(system, None))
    why = f"columns {user} and {assistant} are a question and its answer"
    other = [name for name in columns.ending(CONTEXT[:2]) if name != user]
    context = columns.named(CONTEXT, but=(user, assistant)) or (other[0] if len(other) == 1 else None)  # several: one may be a wrong one
    if context and not _are_no_texts(columns.values(context)):
        parts = (user, context) if folded(user) in ("instruction", "prompt", "request") else (context, user)
        named = {**named, "user_template": "\n\n".join(f"{{{part}}}" for part in parts)}
        del named["user_key"]
        why = f"columns {user} (with {context}) and {assistant} are a question and its answer"
    if (thoughts := columns.thoughts(but=(user, assistant))) and not _is_repeated(columns.rows, thoughts, assistant):
        named["assistant_template"] = f"<think>\n{{{thoughts}}}\n</think>\n\n{{{assistant}}}"
        why += f"; {thoughts} is the reasoning before it, trained in <think>"
    if choices := columns.named_choices(assistant):
        listed = "\n".join(f"{name}. {{{name}}}" for name in choices)
        named = {"user_template": f"{named.pop('user_template', f'{{{user}}}')}\n\n{listed}", **named}
        named.pop("user_key", None)
        why += f", which names one of the choices {', '.join(choices)}"
    why += turns_note(columns, user)
    if columns.holds_several(assistant):
        why += f"; most cells of {assistant} hold several answers with | between them, and are trained whole: leave one answer in each"
    return Candidate("table", "chat", named, why, doubt=doubt)


def _is_repeated(rows: list[dict[str, Any]], thoughts: str, answer: str) -> bool:
    """Return whether an answer has its reasoning already, which would be trained twice."""
    return any("<think>" in str(row.get(answer)) or str(row[thoughts]).strip() in str(row.get(answer)) for row in rows)


def turns_note(columns: Columns, user: str) -> str:
    """Return a note on questions that hold whole chats, written out."""
    return f"; {user} holds the turns of chats, which are asked as one question" if columns.holds_turns(user) else ""


def _labelled(columns: Columns, text: str, label: str, doubt: bool) -> Candidate:
    named = changed(text_key=(text, "text"), label_key=(label, "label"))
    if pair := columns.pair_of(text):
        named = {**changed(label_key=(label, "label")), "text_template": "\n\n".join(f"{{{name}}}" for name in pair)}
        text = " and ".join(pair)
    return Candidate("table", "classification", named, f"column {label} has few different values: labels of {text}", doubt=doubt)


def _text(columns: Columns, text: str, doubt: bool = False, label: str | None = None) -> Candidate:
    turns = " with the turns of chats: to train the replies alone, write them as lists of messages" if columns.holds_turns(text) else ""
    why = f"column {text} is text{turns}"
    if switches := columns.switches():
        shown = ", ".join(switches[:3])
        why += f"; {shown}{' and others' * (len(switches) > 3)} are 0 or 1, as one of several labels is: a row has one label here"
    elif label:
        values = columns.values(label)
        what = counted(len({*map(str, values)}), "different value") + f" in {len(columns.rows):,} rows"
        what = "lists or objects" if any(isinstance(value, list | dict) for value in values) else what
        why += f"; {label} is no label of it: {what}"
    return Candidate("table", "text", changed(text_key=(text, "text")), why, doubt=doubt)


def labelled_within(rows: list[dict[str, Any]], text: Candidate) -> Iterator[Candidate]:
    """Yield the candidate for the rows' text with a label that lies within them, as annotations do; none if there is none."""
    columns = Columns(all_levels(rows))
    key = text.options.get("text_key", "text")
    label = columns.labelled(but=(key,))
    if label and is_path(label) and columns.is_label(label) and folded(label) != "type":
        yield _labelled(columns, key, label, doubt=True)
