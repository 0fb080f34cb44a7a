"""Turn another tool's configuration into a recipe's text, the status of every key, and the recipe's problems."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.recipe import problems_of
from ...schemas.rules import findings
from ...schemas.yaml_source import Document, parse_yaml, read_text
from ...schemas.yaml_writing import dotted, path_of, to_yaml
from .axolotl import confirm, read_axolotl
from .draft import STATUSES, Draft, Entry
from .llama_factory import read_llama_factory

Tool = Literal["axolotl", "llamafactory"]


class Imported(NamedTuple):
    """The recipe's text, the status of each key with its location, and the recipe's remaining problems."""

    text: str
    account: list[tuple[Location, Entry]]
    problems: list[Problem]

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of keys by status."""
        found = Counter(entry.status for _, entry in self.account)
        return {status: found[status] for status in STATUSES if found[status]}


def import_config(path: Path, tool: Tool | None, name: str, folder: Path) -> Imported:
    """Import the configuration as a recipe called `name` in `folder`. Raises UserError for a file that is not a configuration."""
    source = parse_yaml(read_text(path), str(path), is_1_1=True)  # as both tools read it: `load_in_4bit: no` is false, not a text
    if not isinstance(source.data, dict):
        raise UserError(Problem(source.location(()), "not a configuration: it has no keys", "give an Axolotl or LLaMA-Factory YAML file"))
    _require_no_quoted_words(source)
    draft = Draft(source, name)
    if (tool or _tool(source)) == "axolotl":
        read_axolotl(draft, folder)
        _prune(draft)
        confirm(draft)
    else:
        read_llama_factory(draft, folder)
        _prune(draft)
    draft.refuse_lost()
    entries = {key: entry.without_secrets() for key, entry in draft.entries.items()}
    account = [(_location(source, key), entry) for key, entry in entries.items()]
    account.sort(key=lambda entry: (not entry[0].line, entry[0]))
    text = _head(path, entries.values()) + to_yaml(draft.ordered())
    return Imported(text, account, draft.problems + problems_of(parse_yaml(text, str(folder / f"{name}.yml"))))


def _require_no_quoted_words(source: Document) -> None:
    """Raise UserError for `bf16: "false"`: a text, which LLaMA-Factory takes for true, and Axolotl for false."""
    quoted = {key: value for key, value in source.data.items() if isinstance(value, str) and value.lower() in ("true", "false")}
    if quoted:
        hint = "remove the quotes, if it is not meant as a text"
        raise UserError(*(Problem(source.location((key,)), f"{key}: '{value}' is a text, not {value.lower()}", hint, "quoted-boolean")
                          for key, value in quoted.items()))  # fmt: skip


def _tool(source: Document) -> Tool:
    """Detect the tool by keys that only one has. Raises UserError if neither has any."""
    if "base_model" in source.data:
        return "axolotl"
    if "model_name_or_path" in source.data and ("stage" in source.data or "finetuning_type" in source.data):
        return "llamafactory"
    what = "neither a training of Axolotl (base_model) nor of LLaMA-Factory (model_name_or_path, and stage or finetuning_type)"
    hint = (
        "choose one of the two with --from; of another tool, such as TRL: `recipe new NAME --data FILE --model MODEL` writes a recipe, and "
        "`recipe check` answers most names of other tools' keys with the recipe's own"
    )
    raise UserError(Problem(source.location(()), what, hint, "unknown-tool"))


def _prune(draft: Draft) -> None:
    """Remove keys that the rules refuse, with the rule's message as the reason."""
    while values := draft.valid_values():
        if not any(draft.unset(dotted(finding.path), f"{finding.what}: {finding.hint}") for finding in findings(values)):
            return


def _location(source: Document, key: str) -> Location:
    """Return the key's location; only the file for a default."""
    path = path_of(key.partition(":")[0])
    return source.location(path, key=True) if path[0] in source.data else source.location(())._replace(line=0, column=0)


def _head(path: Path, entries: Iterable[Entry]) -> str:
    lost = [f"#   {entry.key}: {entry.why}".replace("\n", " ") for entry in entries if entry.status == "not expressible"]
    lines = ["# Not expressible in a recipe:", *lost] if lost else []
    return "\n".join([f"# Imported from {path.name}.", *lines, ""]).replace("\r", " ") + "\n"


def as_json(imported: Imported) -> dict[str, Any]:
    """Return the report and the problems as plain values."""
    keys = [
        {"key": entry.key, "line": location.line, "status": entry.status, "to": list(entry.to), "why": entry.why}
        for location, entry in imported.account
    ]
    problems = [{"location": str(problem.location), "what": problem.what, "hint": problem.hint} for problem in imported.problems]
    return {"counts": imported.counts, "keys": keys, "problems": problems}
