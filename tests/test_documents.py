"""What the documents say is true: examples give the output shown; every path, link, command and option exists."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from recipekit.runner.cli.commands.check import command
from recipekit.runner.cli.main import cli

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")))
_FOLDERS = r"(?:schemas|converters|runner|recipes|tests|benchmarks|docs|\.ci)"
_COMMAND = re.compile(r"\brecipe (?=[a-z-]+(?:\s|$))(.*)")
_END = re.compile(r"\s#\s|[;|>()]|&&|\s{3,}")


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_the_readmes_recipe_gives_the_readmes_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = blocks("README.md", "yaml")[0]
    shown = next(block for block in blocks("README.md", "console") if block.startswith("$ recipe check"))
    name = shown.splitlines()[0].removeprefix("$ recipe check ")
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(recipe, "utf-8")
    assert CliRunner().invoke(command, [name]).output == shown.partition("\n")[2]


def test_the_first_steps_of_your_data_give_the_output_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "docs/support.csv", tmp_path)
    tried = []
    for block in blocks("docs/your-data.md", "console"):
        line, _, shown = block.partition("\n")
        if found := re.match(r"\$ recipe ((new|check|data) .*)", line):
            assert CliRunner().invoke(cli, shlex.split(found[1])).output == shown
            tried.append(found[2])
    assert tried == ["new", "check", "data"]


def paths_in(text: str) -> list[str]:
    """Paths of the repository, and of Python files, in code spans, without those with a placeholder."""
    return [path for path in re.findall(rf"`({_FOLDERS}/[^`\s]*|[\w/]+/\w+\.py)`", text) if not re.search(r"[<>*{}]|\.\.\.", path)]


def links_in(text: str) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text) if "://" not in link]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_and_link_in_a_document_exists(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    here = (ROOT / document).parent
    assert [path for path in paths_in(text) if not (ROOT / path).exists()] == []
    assert [link for link in links_in(text) if not (here / link).exists()] == []


def commands_in(text: str) -> Iterator[list[str]]:
    """The words after `recipe` of every command in a code span or a console block."""
    spans = [span.replace("\n", " ") for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))]
    consoles = re.findall(r"^```(?:console|bash|sh)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line.removeprefix("$ ") for block in consoles for line in block.replace("\\\n", " ").splitlines() if re.match(r"\$ |\w", line)]
    for line in spans + [line for line in lines if re.search(r"(^|&& )recipe ", line)]:
        if (line.startswith("recipe ") or "&& recipe " in line) and (match := _COMMAND.search(line)):
            yield shlex.split(_END.split(match[1])[0].replace("...", ""))


def unknown(words: list[str]) -> list[str]:
    """The verbs and options among the words that the command line does not have."""
    found: click.Command | None = cli
    for number, word in enumerate(words):
        if not isinstance(found, click.Group):
            break
        found = found.get_command(click.Context(found), word)
        if found is None:
            return words[: number + 1]
    assert found is not None
    options = {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"-h", "--help"}
    return [word for word in words if word.startswith("-") and word.partition("=")[0].rstrip(",") not in options]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_and_option_in_a_document_exists(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    assert [(words, missing) for words in commands_in(text) if (missing := unknown(words))] == []


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("`recipe tell x`", ["tell"]),
        ("`recipe check --fix a.yml`", ["--fix"]),
        ("`recipe data inspect --json`", []),
        ("`recipe data guess`", ["data", "guess"]),
        ("```console\n$ recipe run a --out x   # comment\n```", ["--out"]),
        ("```console\nrecipe run a --runs-dir x --set a=b && recipe runs\n```", []),
    ],
)
def test_an_unknown_command_or_option_is_found(text: str, missing: list[str]) -> None:
    assert [part for words in commands_in(text) for part in unknown(words)] == missing
