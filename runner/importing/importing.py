"""Another tool's configuration -> the text of a recipe, the account of every key, and what `recipe check` says of it."""

from collections import Counter
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.recipe import problems_of
from ...schemas.rules import RULES
from ...schemas.yaml_source import Document, KeyPath, parse_yaml, read_text
from ...schemas.yaml_writing import dotted, to_yaml
from .axolotl import confirm, read_axolotl
from .draft import FATES, Draft, Entry
from .llama_factory import read_llama_factory

Tool = Literal["axolotl", "llamafactory"]


class Imported(NamedTuple):
    """The recipe's text, what became of each key with its place, and the problems that the recipe still has."""

    text: str
    account: list[tuple[Location, Entry]]
    problems: list[Problem]

    @property
    def counts(self) -> dict[str, int]:
        """How many keys each fate has."""
        found = Counter(entry.status for _, entry in self.account)
        return {status: found[status] for status in FATES if found[status]}


def import_config(path: Path, tool: Tool | None, name: str, folder: Path) -> Imported:
    """The recipe called `name` that the configuration stands for, as it would stand in the folder. Raises UserError for what is none."""
    source = parse_yaml(read_text(path), str(path))
    if not isinstance(source.data, dict):
        raise UserError(Problem(source.location(()), "is no configuration: it has no keys", "give an Axolotl or LLaMA-Factory YAML file"))
    draft = Draft(source, name)
    if (tool or _tool(source)) == "axolotl":
        read_axolotl(draft, folder)
        _prune(draft)
        confirm(draft)
    else:
        read_llama_factory(draft, folder)
        _prune(draft)
    account = [(_place(source, entry.key), entry) for entry in draft.entries.values()]
    account.sort(key=lambda told: (not told[0].line, told[0]))
    text = _head(path, draft) + to_yaml(draft.ordered())
    return Imported(text, account, draft.problems + problems_of(parse_yaml(text, name)))


def _tool(source: Document) -> Tool:
    """The tool whose configuration it is, by keys that only one has. Raises UserError where that does not tell."""
    if "base_model" in source.data:
        return "axolotl"
    if "model_name_or_path" in source.data and ("stage" in source.data or "finetuning_type" in source.data):
        return "llamafactory"
    hint = "say it: --from axolotl, --from llamafactory"
    raise UserError(Problem(source.location(()), "cannot be told which tool this configuration is of", hint, "unknown-tool"))


def _prune(draft: Draft) -> None:
    """Take back what recipes refuse because it has no effect or cannot work, with the rule's words as the reason."""
    while recipe := draft.recipe():
        found = [finding for rule in RULES for finding in rule(recipe)]
        if not any(draft.unset(dotted(finding.path), f"{finding.what}: {finding.hint}") for finding in found):
            return


def _place(source: Document, key: str) -> Location:
    """Where the key stands; the file alone for what it does not say."""
    path: KeyPath = tuple(int(part) if part.isdigit() else part for part in key.partition(":")[0].split("."))
    return source.location(path, key=True) if path[0] in source.data else source.location(())._replace(line=0, column=0)


def _head(path: Path, draft: Draft) -> str:
    lost = [f"#   {entry.key}: {entry.why}" for entry in draft.entries.values() if entry.status == "not expressible"]
    said = ["# What it says and a recipe cannot:", *lost] if lost else []
    return "\n".join([f"# Imported from {path.name}.", *said, ""]).replace("\r", " ") + "\n"


def as_json(imported: Imported) -> dict[str, Any]:
    """Plain values of the account and the problems."""
    keys = [
        {"key": entry.key, "line": location.line, "fate": entry.status, "to": list(entry.to), "why": entry.why}
        for location, entry in imported.account
    ]
    problems = [{"place": str(problem.location), "what": problem.what, "hint": problem.hint} for problem in imported.problems]
    return {"counts": imported.counts, "keys": keys, "problems": problems}
