"""Small files of records, and their inspection."""

from pathlib import Path

from recipekit.runner.inspection.files import write_inspection
from recipekit.runner.inspection.inputs import Inputs
from recipekit.runner.inspection.inspect import Options, inspect
from recipekit.runner.worker.tokenizers import tokenizer

from .jsonl import write_jsonl

LONG = "when the rain came down over the old harbour the gulls went quiet and the boats lay still, said"
EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">'


def chat(number, answer="low", question=None, **meta):
    question = question or f"Question {number}: how sure are you, in words of your own?"
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    origin = {"file": "rows.json", "line": number, "converter": "messages@1"}
    return {"id": f"rows.json:{number}", "messages": messages, "meta": {**meta, "origin": origin}}


def labelled(number, label, text=None):
    return {"id": f"t:{number}", "text": text or f"text number {number} about nothing much", "label": label}


def inspected(folder: Path, rows, name="out", **options) -> tuple[Path, list[str]]:
    """The folder of an inspection of these rows, and the names of its files."""
    path = write_jsonl(folder / "train.jsonl", rows)
    named = tokenizer("cl100k")
    inputs = Inputs("rows", {"train": path}, {})
    names = write_inspection(folder / name, inputs, inspect(inputs, Options(named, **options), folder), named)
    return folder / name, names
