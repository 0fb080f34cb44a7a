"""What the documents say is true: examples give the output shown; every path, link, command and option exists."""

import re
import shlex
import shutil
from collections.abc import Iterator
from itertools import pairwise, takewhile
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from recipekit.runner.cli.commands.check import command
from recipekit.runner.cli.main import cli
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.extends import shipped_recipes
from recipekit.schemas.recipe import check_recipe, load_sweep

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
_FOLDERS = r"(?:schemas|converters|runner|recipes|tests|benchmarks|docs|\.ci)"
_COMMAND = re.compile(r"\brecipe (?=[a-z-]+(?:\s|$))(.*)")


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


def test_what_the_tasks_add_to_a_recipe_is_valid(tmp_path: Path) -> None:
    *sections, prompt = blocks("docs/tasks.md", "yaml")
    (tmp_path / "question.yml").write_text(prompt, "utf-8")
    assert len(sections) == 3
    for added in sections:
        (tmp_path / "mine.yml").write_text(f"extends: quickstart\nname: mine\n{added}", "utf-8")
        assert check_recipe(tmp_path / "mine.yml") == []


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
    lines = [
        line.removeprefix("$ ") for block in consoles for line in re.sub(r"\\\n\s*", " ", block).splitlines() if re.match(r"\$ |\w", line)
    ]
    for line in spans + [line for line in lines if re.search(r"(^|&& )recipe ", line)]:
        if (line.startswith("recipe ") or "&& recipe " in line) and (match := _COMMAND.search(line)):
            yield first_command(match[1].replace("...", ""))


def first_command(line: str) -> list[str]:
    """The words of a shell line up to a comment, or to the end of its first command."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    return [*takewhile(lambda word: word[0] not in words.punctuation_chars, filter(None, words))]


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


def recipes_in(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A shipped recipe with the settings of each command that names one, or a run of it by the name that an earlier command gave."""
    shipped, runs = {path.stem for path in shipped_recipes()}, dict[str, tuple[str, tuple[str, ...]]]()
    for words in commands_in(text):
        settings = tuple(word for before, word in pairwise(words) if before == "--set" and not word.endswith("="))
        for word in words:
            recipe, earlier = runs[word] if word in runs else (word, ())
            if recipe in shipped:
                yield recipe, (*earlier, *settings)
                runs |= {name: (recipe, settings) for key, _, name in (one.partition("=") for one in settings) if key == "name"}
                break


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_setting_in_a_document_is_valid(document: str) -> None:
    for recipe, settings in recipes_in((ROOT / document).read_text("utf-8")):
        load_sweep(recipe, settings)


def test_a_setting_of_a_named_run_is_checked_with_its_recipe() -> None:
    text = "`recipe run quickstart --set name=mine --set training.max_steps=4`, `recipe eval mine --set evaluation.metric=[x]`"
    found = list(recipes_in(text))
    assert found[1] == ("quickstart", ("name=mine", "training.max_steps=4", "evaluation.metric=[x]"))
    with pytest.raises(UserError, match="did you mean 'metrics'"):
        load_sweep(*found[1])


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("`recipe tell x`", ["tell"]),
        ("`recipe check --fix a.yml`", ["--fix"]),
        ("`recipe data inspect --json`", []),
        ("`recipe data guess`", ["data", "guess"]),
        ("```console\n$ recipe run a --out x   # comment\n```", ["--out"]),
        ("```console\nrecipe run a \\\n  --set a=b --ou x\n```", ["--ou"]),
        ("```console\nrecipe run a --runs-dir x --set a=b && recipe runs\n```", []),
    ],
)
def test_an_unknown_command_or_option_is_found(text: str, missing: list[str]) -> None:
    assert [part for words in commands_in(text) for part in unknown(words)] == missing
