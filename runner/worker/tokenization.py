"""Tokenise rows as the trainer sees them, through Axolotl, for evaluation and `recipe mask`.

python -m recipekit.runner.worker.tokenization ROWS.jsonl OUT.jsonl (in the run directory): a line of id, input_ids and labels for each row.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from ..launch.plan import CONFIG
from ..models.chat_templates import NO_TEMPLATE_HINT, template_prefix
from ..runtime.progress import Progress
from . import axolotl_patches
from .labels import IGNORED, long_rows


def of_record_type(cfg: Any, record_type: str) -> Any:
    """Return the configuration for rows of this type, which may differ from the recipe's."""
    from axolotl.utils.dict import DictDefault

    return DictDefault({**dict(cfg), "record_type": record_type}) if record_type and record_type != cfg.record_type else cfg


def tokenise(cfg: Any, tokenizer: Any, path: Path) -> list[dict[str, Any]]:
    """Return each row's id, input_ids and labels. `cfg` is Axolotl's configuration, whose dataset is replaced by the file at `path`."""
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    if cfg.record_type == "text":
        return [_document(row, tokenizer) for row in rows]
    if cfg.record_type == "classification":
        return [_classified(row, cfg, tokenizer) for row in rows]
    from axolotl.utils.dict import DictDefault

    dataset = {**dict(cfg.datasets[0]), "path": str(path)}
    # A separate folder: Axolotl finds prepared rows by the file's path, and would use those of another file that was there before.
    with TemporaryDirectory() as prepared:
        changed = {"datasets": [DictDefault(dataset)], "test_datasets": None, "dataset_prepared_path": prepared, "sample_packing": False}
        found = axolotl_patches.load(DictDefault({**dict(cfg), **changed})).train_dataset
        kept = [row for row in rows if row["id"] not in long_rows(cfg, tokenizer, rows)] if len(found) != len(rows) else rows
        return [
            {"id": row["id"], "input_ids": list(tensors["input_ids"]), "labels": list(tensors["labels"])}
            for row, tensors in zip(kept, found, strict=True)
        ]


def _document(row: dict[str, Any], tokenizer: Any) -> dict[str, Any]:
    """Return a text as one row, however many blocks it spans: all tokens but the first are trained."""
    from .packing import document_ids

    ids = document_ids(row["text"], tokenizer)
    return {"id": row["id"], "input_ids": ids, "labels": [IGNORED, *ids[1:]]}


def _classified(row: dict[str, Any], cfg: Any, tokenizer: Any) -> dict[str, Any]:
    """Return a classified text: the label is trained, not a token."""
    from .classification import tokenise_rows

    found = tokenise_rows([row], tokenizer, cfg.labels, cfg.sequence_len, "truncate").rows[0]
    return {"id": row["id"], "input_ids": found["input_ids"], "labels": [IGNORED] * len(found["input_ids"]), "label": row["label"]}


def load(config: str = CONFIG) -> tuple[Any, Any]:
    """Return Axolotl's configuration and tokenizer for a rendered file."""
    from axolotl.cli.config import load_cfg

    cfg = load_cfg(config)
    return cfg, load_tokenizer(cfg)


def load_tokenizer(cfg: Any) -> Any:
    """Return the tokenizer with the recipe's chat template, which also becomes the configuration's.

    Ends the process with a `refused` event if there is no such template.
    """
    from axolotl.loaders import load_tokenizer as axolotl_tokenizer

    cfg["template_name"] = cfg.template_name or _template_name(cfg)
    try:
        tokenizer = axolotl_tokenizer(cfg)
    except ValueError as error:
        if "chat_template" not in str(error):
            raise
        refuse(f"{cfg.base_model} has no chat template: {NO_TEMPLATE_HINT}")
    before = template_prefix(bool(cfg.fold_system), "reasoning" in (cfg.accepted_losses or ()))
    if before and not str(tokenizer.chat_template).startswith(before):
        tokenizer.chat_template = before + tokenizer.chat_template
        cfg["chat_template"], cfg["chat_template_jinja"] = "jinja", tokenizer.chat_template
    return tokenizer


def _template_name(cfg: Any) -> str:
    name = str(getattr(cfg.chat_template, "value", cfg.chat_template or "tokenizer_default"))
    return "the model's own chat template" if name == "tokenizer_default" else f"the chat template {name}"


def refuse(what: str) -> NoReturn:
    """Report why there is nothing to do, and end this process."""
    Progress().event("refused", what=what)
    raise SystemExit(1)


class RefusedMessages(Exception):
    """The model's chat template refuses the messages."""


@contextmanager
def rendering() -> Iterator[None]:
    """Raise RefusedMessages for an error of a chat template, which may be of any type: for an unknown role, for example."""
    try:
        yield
    except Exception as error:
        raise RefusedMessages(f"the model's chat template refuses the messages: {error}") from None


def prompt_ids(tokenizer: Any, messages: list[dict[str, Any]]) -> list[int]:
    """Return the tokens before the reply to these messages, as in training: the template writes the start of an empty reply itself.

    A template's generation prompt may differ: Qwen3's leaves the end of its empty reasoning to the model. Raises RefusedMessages.
    """
    mark = "\U000f0000"
    with rendering():
        text = tokenizer.apply_chat_template([*messages, {"role": "assistant", "content": mark}], tokenize=False)
        start = text.rindex(mark)
    if not tokenizer.is_fast:
        return tokenizer(text[:start], add_special_tokens=False)["input_ids"]
    # A space before the reply may be one token with its first word.
    encoded = tokenizer(text[:start] + "a", add_special_tokens=False, return_offsets_mapping=True)
    return [number for number, (_, end) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True) if end <= start]


def segments(row: dict[str, Any], tokenizer: Any) -> list[dict[str, Any]]:
    """Return the row's text in trained and masked segments. Each segment is decoded as a whole, because an emoji may span several
    tokens."""
    pairs = zip(row["input_ids"], row["labels"], strict=True)
    runs = [(trained, [token for token, _ in run]) for trained, run in groupby(pairs, key=lambda pair: pair[1] != IGNORED)]
    return [{"trained": trained, "text": tokenizer.decode(ids, clean_up_tokenization_spaces=False)} for trained, ids in runs]


def main(rows: str, out: str) -> None:
    """Tokenise a file, and add the trained segments as text and what the template leaves out. Rows that the trainer would refuse are
    refused."""
    from .label_audit import audit_problems, end_of_turn_problem, row_facts, row_problems

    cfg, tokenizer = load()
    given = [json.loads(line) for line in Path(rows).read_bytes().splitlines()]
    is_chat = cfg.record_type not in ("text", "classification")
    if is_chat and (found := row_problems(cfg, tokenizer, "chosen", given)):
        refuse("\n".join(found))
    tokenised = tokenise(cfg, tokenizer, Path(rows))
    losses: dict[str, Any] = {}
    if is_chat:
        facts = row_facts(cfg, tokenizer, given, tokenised)
        losses = facts["losses"]
        if found := audit_problems({"chosen": facts}, cfg, end_of_turn_problem(cfg, tokenizer)):
            refuse("\n".join(found))
    with Path(out).open("w", encoding="utf-8") as stream:
        for row in tokenised:
            left_out = {name: group["rows"][row["id"]] for name, group in losses.items() if row["id"] in group["rows"]}
            stream.write(json.dumps({**row, "segments": segments(row, tokenizer), "left_out": left_out}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
