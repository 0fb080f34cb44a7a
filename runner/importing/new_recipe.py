"""Write a recipe for data files, with a comment that gives the reason for every choice."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, NamedTuple

from ...converters.building.key_meanings import MEANINGS
from ...converters.building.key_use import OTHERS
from ...converters.building.unusable_rows import several_hint, share_of
from ...converters.sources.registry import converter
from ...converters.sources.verdicts import HOLDERS, bad_within
from ...schemas.base.counted import counted, counted_of, listed
from ...schemas.base.terminal import printable
from ...schemas.model_rules import EMBEDDED
from ...schemas.options import options_schema
from ...schemas.recipe import load_recipe
from ...schemas.split_names import split_in
from ...schemas.yaml_writing import one_line
from ..resources.estimate_fit import estimate_fit
from ..resources.fit import problems, warnings
from ..resources.row_lengths import local_tokenizer, longest
from ..runtime.machine import this_machine
from .columns import SYSTEM, folded
from .file_forms import other_keys, other_lists
from .recognise import Recognised, sum_row

METRICS = {
    "chat": "[perplexity, stop_rate, reply_tokens]",
    "classification": "[accuracy, macro_f1]",
    "text": "[perplexity, token_accuracy]",
}
MARGIN = 1.25  # for rows that were not read
STEP = 64
BLOCK = 512  # of text records
FEW_ROWS = 200
MANY_ROWS = 5000
BATCH = 16  # rows per optimizer step
LISTED = 12  # keys named on screen; the recipe has them all
REPLY_LABELS = 10  # with at most this many different replies, each repeated, replies are labels
_TEXT = """\
model:
  base_model: {model}

data:
  type: {type} # {why}
  sources:
{sources}
{dropped}  split:
    validation: {validation}
{split}
training:
  adapter: {adapter}
  learning_rate: {learning_rate}
  sequence_len: {sequence_len} # {length_why}
  num_epochs: {epochs}
  micro_batch_size: {micro} # {micro_why}
  gradient_accumulation_steps: {accumulation} # {rows} rows per optimizer step
  warmup_ratio: 0.1

evaluation:
  metrics: {metrics} # `recipe explain {name} evaluation.metrics` lists the others
{labels}"""


class NewRecipe(NamedTuple):
    """What a new recipe is made of: its name, the recognised data, the paths as given, the recipe's folder and its base model.

    `declared` are other keys of its sources.
    """

    name: str
    found: Recognised
    paths: list[str]
    folder: Path
    model: str = EMBEDDED
    declared: Mapping[str, Any] = MappingProxyType({})


def recipe_for(new: NewRecipe) -> str:
    """Return the sections of a recipe that reads the paths, with the largest micro_batch_size that fits this machine."""
    length, length_why = sequence_len(new.found, new.model)

    def text(micro: int, why: str) -> str:
        return _sections(new, length, length_why, micro, why)

    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "draft.yml"
        for micro in (4, 2, 1):
            path.write_text(f"recipe: 1\nname: {new.name}\n\n" + text(micro, "a draft"), encoding="utf-8")
            found = estimate_fit(load_recipe(str(path)).recipe, this_machine(), new.folder, len(_labels(new.found)))
            if found is None:
                return text(4, "whether it fits in memory is unknown, like the model's size")
            if not problems(found, full_rows=True) and not warnings(found):
                return text(micro, "fits in this machine's memory, by `recipe plan`")
    return text(1, "may not fit in this machine's memory: see `recipe plan`")


def sequence_len(found: Recognised, model: str) -> tuple[int, str]:
    """Return a multiple of 64 that holds every record, and why."""
    length = longest([record.fields for record in found.records], local_tokenizer(model))
    needed = length.total if found.is_whole else round(length.total * MARGIN)
    rounded = max(STEP, -(-needed // STEP) * STEP)
    if found.choice.record_type == "text":
        return min(rounded, BLOCK), "the block size: longer texts are split"
    size = f"{length.tokens:,} tokens" if length.exact else f"{length.bytes:,} bytes, about {length.tokens:,} tokens"
    template = f", about {length.total:,} with the chat template" if length.total > length.tokens else ""
    why = f"the longest of {'' if found.is_whole else 'the first '}{len(found.records):,} rows has {size}{template}"
    return rounded, why if length.exact else f"{why}: the model's tokenizer is not on this machine"


def _sections(new: NewRecipe, length: int, length_why: str, micro: int, micro_why: str) -> str:
    found, choice = new.found, new.found.choice
    few = len(found.records) < FEW_ROWS
    rows = 4 if few else BATCH
    is_text = choice.record_type == "text"
    replies = _reply_labels(found)
    return _TEXT.format(
        name=new.name, model=_model(new), type=choice.record_type, why=choice.why,
        sources="\n".join(_source(new, path) for path in new.paths),
        dropped=_dropped(found), split=_split(found),
        validation="0.2 # few rows: hold out more of them" if few else "0.1 # a tenth of the rows",
        adapter="none # trains all weights, to learn the texts themselves" if is_text else "qlora # needs the least memory",
        learning_rate="5e-5" if is_text else "2e-4", sequence_len=length, length_why=length_why,
        epochs="1 # many rows" if len(found.records) >= MANY_ROWS else "3 # use fewer if the validation loss rises",
        micro=micro, micro_why=micro_why, accumulation=rows // micro, rows=rows,
        metrics="[accuracy, macro_f1, perplexity]" if replies else METRICS[choice.record_type],
        labels=f"  labels: {one_line(replies)} # the replies are labels; order matters for levels\n" if replies else "",
    )  # fmt: skip


def _model(new: NewRecipe) -> str:
    if new.model == EMBEDDED:
        return f"{EMBEDDED} # small, no download, to try the recipe; later a Hugging Face name or a folder"
    return one_line(os.path.relpath(new.model, new.folder.resolve()) if Path(new.model).is_dir() else new.model)


def _source(new: NewRecipe, path: str) -> str:
    choice, found = new.found.choice, new.found
    relative = os.path.relpath(path, new.folder.resolve())
    options = {**choice.options, **({"keep_meta": groups} if (groups := _kept_groups(found)) else {})}
    lines = [f"    - path: {one_line(relative)} # relative to this file",
             f"      converter: {choice.converter} # `recipe show --converter {choice.converter}` lists its options"]  # fmt: skip
    split = split_in(Path(path).name) if len({split_in(Path(one).name) for one in new.paths} - {""}) > 1 else ""
    first = found.files[0]
    keys = {"skip_lines": first.skip_lines, "field": first.field, "split": split, "options": options}
    more = {**new.declared, **{key: value for key, value in keys.items() if value}}
    why = {"encoding": " # the file is not UTF-8: check with `recipe mask` that accents are right",
           "skip_lines": " # the lines above the table", "field": " # the key of the rows"}  # fmt: skip
    lines += [f"      {key}: {one_line(value)}{why.get(key, '')}" for key, value in more.items()]
    # Rows with an unread key of MEANINGS are refused: ignoring it would change what is trained.
    values = [drop.row.value for drop in found.unusable if isinstance(drop.row.value, dict)]
    bad = [key for key in HOLDERS if any(bad_within(key, value.get(key)) for value in values)]
    unread = [key for key in found.unread if key not in (*_kept_groups(found), *MEANINGS, *bad, OTHERS)]
    return "\n".join([*lines, *([f"      ignore_keys: {one_line(unread)} # not trained"] if unread else [])])


def _dropped(found: Recognised) -> str:
    """Return the line that allows unusable rows, commented out: dropping rows is the user's decision."""
    if not found.unusable:
        return ""
    rows = len(found.records) + len(found.unusable)
    why = f"{counted_of(len(found.unusable), rows, 'row')} cannot be used, e.g. {found.unusable[0].row}; remove the first # to drop them"
    return f"  # max_dropped: {share_of(len(found.unusable), rows):g} # {printable(why)}\n"


def _split(found: Recognised) -> str:
    """Return the line that keeps rows together, or labels in equal shares."""
    if groups := _kept_groups(found):
        return f"    group_by: {one_line(groups)} # rows with the same {' '.join(groups[0].split())} stay in one split\n"
    labels = _labels(found)
    if len(labels) > 1 and min(labels.values()) > 1:
        return f"    stratify_by: label # the same shares of the {counted(len(labels), 'label')} in both splits\n"
    return ""


def recognised_lines(found: Recognised) -> Iterator[tuple[str, str]]:
    """Yield what was recognised in the data files, each with a heading."""
    choice, first, first_file = found.choice, "" if found.is_whole else "the first ", found.files[0]
    records = counted(len(found.records), f"{choice.record_type} record")
    yield "read", f"{first}{records} with the converter {choice.converter}: {choice.why}"
    skipped = first_file.skip_lines
    if skipped and first_file.columns:
        yield "skipped", f"{counted(skipped, 'line')} above the first row, line {skipped + 1} (skip_lines)"
    elif skipped:
        names = ", ".join(map(str, found.records[0].row.value))
        above = "the line above it is" if skipped == 1 else f"the {skipped} lines above it are"
        yield "header", f"line {skipped + 1}, {names}; {above} not read (skip_lines)"
    if field := first_file.field:
        others = ", ".join(f"{key!r} ({counted(number, 'object')})" for key, number in other_lists(first_file).items())
        yield "rows", f"the list {field!r} in the file's object (field)" + f"; lists that are not read: {others}" * bool(others)
        if beside := other_keys(first_file):
            prompt = "; a system prompt is set by data.system_prompt" * any(folded(key) in SYSTEM for key in beside)
            yield "", f"keys beside it that are not read: {_named(beside)}{prompt}"
    if len(found.files) > 1:
        kinds = Counter(file.path.suffix or "without suffix" for file in found.files)
        fewer = "; to read only some, use a glob such as 'FOLDER/**/*.txt'" if len(kinds) > 1 else ""
        yield "files", f"{listed(dict(kinds.most_common()))}{fewer}"
    if found.unusable:
        reasons = listed(dict(Counter(drop.reason for drop in found.unusable).most_common()))
        what = f"{counted_of(len(found.unusable), len(found.records) + len(found.unusable), 'row')}: {reasons}, e.g. {found.unusable[0]}"
        how = several_hint(found.unusable) or "fix them"
        yield "unusable", f"{what}; the run would stop at them: {how}, or uncomment data.max_dropped in the recipe"
    if row := sum_row(found):
        yield "sum", f"{row} looks like the sum of a sheet: remove the row if it is one"
    if found.respelt:
        respelt = ", ".join(f"{label!r} as {name!r}" for label, name in found.respelt.items())
        yield "labels", f"different spellings are read as one label: {respelt}; remove label_names in the recipe if they differ"
    if groups := _kept_groups(found):
        yield "split", f"by {', '.join(groups)}, whose values repeat: rows that belong together stay in one split"
    if not_read := [key for key in found.unread if key not in groups]:
        yield "not read", f"keys {_named(not_read)}"
    if unread := choice.options.get("ignore_message_keys"):
        yield ("", f"and of messages {_named(unread)}") if not_read else ("not read", f"of messages: keys {_named(unread)}")


def _named(keys: list[str]) -> str:
    return ", ".join(keys[:LISTED]) + f" and {len(keys) - LISTED} more" * (len(keys) > LISTED)


def _kept_groups(found: Recognised) -> list[str]:
    """Return the columns to group the split by: repeated ids, if the converter can keep them."""
    return found.groups if "keep_meta" in options_schema(converter(found.choice.converter).convert)["properties"] else []


def _labels(found: Recognised) -> Counter[str]:
    return Counter(record.fields["label"] for record in found.records if "label" in record.fields)


def _reply_labels(found: Recognised) -> list[str]:
    """Return the last replies of chats if they are few and repeated."""
    replies = Counter(record.fields["messages"][-1]["content"] for record in found.records if "messages" in record.fields)
    few = 1 < len(replies) <= REPLY_LABELS and min(replies.values()) >= 5
    return sorted(replies) if few and all(len(reply) <= 40 and "\n" not in reply for reply in replies) else []
