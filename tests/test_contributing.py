"""CONTRIBUTING.md: its converter and its metric, added to a copy of the project as it says, work and need no other edit."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .support.paths import ROOT

EXAMPLE = "tests/examples/converters/help_desk/rows"
ROWS = "question;answer;desk\nWhere is the key?;Under the mat.;3\nAnd the cat?;;4\n"
WRITTEN = {
    "converters/sources/help_desk.py",
    "converters/sources/registry.py",
    "runner/evaluation/metrics/replies.py",
    f"{EXAMPLE}/input.csv",
}
GENERATED = {"schemas/recipe.schema.json", "docs/keys.md", "docs/converters.md", f"{EXAMPLE}/expected.jsonl"}


def section(title: str) -> str:
    """The text below a heading of CONTRIBUTING.md, without its indentation."""
    found = re.search(rf"^## {title}\n(.*?)^## ", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert found
    return re.sub("^   ", "", found[1], flags=re.MULTILINE)


def code(title: str) -> str:
    """The Python of a section."""
    (block,) = re.findall(r"^```python\n(.*?)^```", section(title), re.DOTALL | re.MULTILINE)
    return block


def generators(title: str) -> list[str]:
    """The arguments of pytest that write a section's generated files."""
    (line,) = re.findall(r"UPDATE_GOLDEN=1 pytest (.*?)[`\n]", section(title))
    return shlex.split(line)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project."""
    folder = tmp_path_factory.mktemp("contributor") / "recipekit"
    folder.mkdir()
    for name in ("converters", "docs", "recipes", "runner", "schemas", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("CONTRIBUTING.md", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


def run_tests(project: Path, *arguments: str, **environment: str) -> None:
    """Run tests of the copy, on the code of the copy."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    variables |= {"PYTHONPATH": str(project.parent), **environment}
    command = [sys.executable, "-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_converter_and_a_metric_are_a_module_a_line_and_generated_files(project: Path) -> None:
    before = contents(project)
    (project / "converters/sources/help_desk.py").write_text(code("Add a converter"), "utf-8")
    registry = project / "converters/sources/registry.py"
    registry.write_text(registry.read_text("utf-8").replace('    "introspection",\n', '    "help_desk",\n    "introspection",\n'), "utf-8")
    (project / EXAMPLE).mkdir(parents=True)
    (project / EXAMPLE / "input.csv").write_text(ROWS, "utf-8")
    with (project / "runner/evaluation/metrics/replies.py").open("a", encoding="utf-8") as family:
        family.write("\n\n" + code("Add a metric"))
    run_tests(project, *generators("Add a converter"), UPDATE_GOLDEN="1")
    after = contents(project)
    assert {path for path in after if after[path] != before.get(path)} == WRITTEN | GENERATED
    record, drop = (project / EXAMPLE / "expected.jsonl").read_text("utf-8").splitlines()
    assert "Under the mat." in record and drop == '{"drop": "empty_content"}'
    assert set(generators("Add a metric")) <= set(generators("Add a converter"))
    run_tests(project, *generators("Add a converter"))
    run_tests(project, "tests/converters", "tests/runner/importing", "tests/runner/evaluation/metrics", "-k", "help_desk or question_rate")
