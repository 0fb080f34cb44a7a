"""EmoLLM: counselling dialogues, in every form in which the project stores them.

    {"conversation": [{"system": "现在你是一个心理专家，…", "input": "医生，我最近总是很焦虑。", "output": "你好，谢谢你的信任。…"},
                      {"input": "主要是考试。", "output": "我理解。…\\n\\n医生：另外，试试深呼吸。"}]}

Also alpaca rows (self-cognition, ruozhiba), prompt/completion, question/answer (from books), single input/output turns, swift's
query/response/history and ShareGPT. In the second turn above, a speaker's tag leaked into the answer: it is removed and counted.
For text records, each turn becomes a record of its own, in the project's pre-training form.
"""

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Annotated, Any, Literal

from ...schemas.options import Text, only_for, template
from ..reading.records import Drop, Record, Row
from .counselling_forms import Conversation, Fault, read_conversation
from .role_tags import has_role_tag, without_role_tags
from .turns import chat_messages, fill

VERSION = 2
RECORD_TYPES = ("chat", "text")
INPUT = "values"
UNUSED_KEYS = ("area", "emotion")  # of a generated dialogue's scenario


def STATELESS(options: dict[str, Any]) -> bool:
    """Return whether rows are independent: a wrong swift history is recognised only next to the row that it repeats."""
    return not options.get("drop_wrong_histories", True)


REFUSAL = re.compile(
    r"(抱歉|对不起|很遗憾)[，,。 ]*(但)?我(不能|无法|没有办法)(完成|回答|提供|讨论|参与|生成|满足)"
    r"|作为(一个|一名)?(认知智能|人工智能|大?语言|AI) ?(大?模型|助手)"
    r"|\bas an ai (language )?model\b|\bi(['’]m sorry, but i)? can(no|['’])t (assist|help) with",
    re.IGNORECASE,
)


def recognise_rows(rows: list[dict[str, Any]]) -> str:
    """Return why the rows come from this source: their conversations have the project's turns."""
    turns = [row.get("conversation") for row in rows]
    found = any(isinstance(one, list) and one and "input" in one[0] for one in turns)
    return "conversation is a list of turns with input and output" if found else ""


def convert(
    rows: Iterable[Row],
    record_type: str = "chat",
    *,
    system_prompt: Annotated[Text | None, "The system prompt of conversations that have none."] = None,
    replace_system: Annotated[
        bool,
        "Replace the conversations' own system prompt by system_prompt; without one, remove theirs, so that data.system_prompt is used.",
    ] = False,
    role_tags: Annotated[
        Literal["strip", "drop", "keep"],
        "A speaker's tag (`医生：`) inside a message: remove it (another speaker's tag starts a new message), drop the row, or keep it.",
    ] = "strip",
    trim: Annotated[bool, "Remove white space around every message."] = True,
    drop_refusals: Annotated[bool, "Drop conversations in which the assistant refuses as an AI model."] = True,
    drop_wrong_histories: Annotated[bool, "Drop swift rows that repeat an earlier question and answer after a later turn."] = True,
    flatten: Annotated[bool, "Write the dialogue as one question that ends with the doctor's tag, and train its last answer."] = False,
    text_template: Annotated[
        Text, template("input", "output"), only_for("text"), "How a turn's `{input}` and `{output}` become a text, for text records."
    ] = "问题:{input}\n答案:{output}",
    keep_meta: Annotated[Iterable[str], "Keys of the row to keep in meta."] = (),
) -> Iterator[Record | Drop]:
    """Yield one chat record per row, or one text record per turn."""
    kept = tuple(keep_meta)
    first_turns = _FirstTurns()
    for row in rows:
        found = read_conversation(row.value)
        if isinstance(found, Fault):
            yield Drop(row, *found)
            continue
        if drop_wrong_histories and found.form == "swift" and first_turns.repeated(found):
            yield Drop(row, "wrong_history", "the row repeats an earlier question and answer after a later turn", filtered=True)
            continue
        messages, fixed = _with_system(found, system_prompt, replace_system)
        if fault := _content_fault(messages, record_type):
            yield Drop(row, *fault)
            continue
        if unwanted := _unwanted(messages, drop_refusals, role_tags == "drop"):
            yield Drop(row, *unwanted, filtered=True)
            continue
        if trim and any(message["content"] != message["content"].strip() for message in messages):
            messages = [{**message, "content": message["content"].strip()} for message in messages]
            fixed.add("trimmed")
        if role_tags == "strip":
            messages, done = without_role_tags(messages)
            fixed |= done
        meta = {"form": found.form, **{key: row.value[key] for key in kept if key in row.value}}
        record = Record(row, {"messages": messages}, meta, tuple(sorted(fixed)))
        if record_type == "text":
            yield from _texts(record, text_template)
        else:
            yield record._replace(fields={"messages": _flat(messages)}) if flatten else record


class _FirstTurns:
    """The question-answer pairs seen in swift rows. The source repeated each dialogue's first pair before every later turn."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()

    def repeated(self, found: Conversation) -> bool:
        """Return whether the row has a history and repeats the question and answer of an earlier row."""
        digest = blake2b(repr(found.pairs[-1]).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        again = digest in self.seen
        self.seen.add(digest)
        return again and len(found.pairs) > 1


def _with_system(found: Conversation, prompt: str | None, replace: bool) -> tuple[list[dict[str, Any]], set[str]]:
    """Return the messages, and what was done with the system prompt. `replace` without a prompt removes it, so that the recipe's is
    used."""
    own = None if isinstance(found.system, str) and not found.system.strip() else found.system
    if own is None:
        return chat_messages(found.pairs, prompt), {"system_added"} if prompt else set()
    if not replace or own == prompt:
        return chat_messages(found.pairs, own), set()
    return chat_messages(found.pairs, prompt), {"system_replaced" if prompt else "system_removed"}


def _content_fault(messages: list[dict[str, Any]], record_type: str) -> tuple[str, str] | None:
    for index, message in enumerate(messages):
        role, content = message["role"], message["content"]
        if not isinstance(content, str):
            return "content_not_text", f"messages[{index}] ({role}) is {type(content).__name__}"
        if not content.strip() and not (record_type == "text" and role == "user"):
            return "empty_content", f"messages[{index}] ({role}) is blank"
    return None


def _unwanted(messages: list[dict[str, Any]], refusals: bool, tagged: bool) -> tuple[str, str] | None:
    for index, message in enumerate(messages):
        if refusals and message["role"] == "assistant" and (match := REFUSAL.search(message["content"])):
            return "refusal", f"messages[{index}] says {match.group()!r}"
        if tagged and message["role"] != "system" and has_role_tag(message["content"]):
            return "role_tag", f"messages[{index}] has a speaker's tag"
    return None


def _flat(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the dialogue as one question that ends with the doctor's tag, and the last answer: the source's form for its evaluation."""
    system = messages[0]["content"] if messages[0]["role"] == "system" else ""
    spoken = {"user": "\n来访者：", "assistant": "\n医生："}
    *before, last = [message for message in messages if message["role"] != "system"]
    dialogue = "".join(spoken[message["role"]] + message["content"] for message in before)
    return chat_messages([(f"{system}\n\n对话：{dialogue}\n医生：".lstrip("\n"), last["content"])])


def _texts(record: Record, template: str) -> Iterator[Record | Drop]:
    """Yield a text record per turn, without the system prompt. A blank question gives only the answer. Both are as in the source's
    pre-training files."""
    messages = [message for message in record.fields["messages"] if message["role"] != "system"]
    fixed = (*record.fixed, "system_left_out") if len(messages) < len(record.fields["messages"]) else record.fixed
    if [message["role"] for message in messages] != ["user", "assistant"] * (len(messages) // 2):
        yield Drop(record.row, "roles_do_not_alternate", "the speakers' tags leave a question without an answer")
        return
    for turn, (asked, answered) in enumerate(zip(messages[::2], messages[1::2], strict=True)):
        question, answer = asked["content"], answered["content"]
        text = fill(template, input=question, output=answer) if question.strip() else answer
        meta = {**record.meta, "conversation": str(record.row), "turn": turn}
        yield Record(record.row, {"text": text}, meta, fixed if turn == 0 else ())
