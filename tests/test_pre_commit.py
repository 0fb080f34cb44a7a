"""The hooks that other repositories use, run by the real pre-commit in a scratch repository, with the base install alone."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from .support.paths import ROOT

RECIPE = """\
recipe: 1
name: small
model: {base_model: some/model}
data:
  type: chat
  sources: [{path: ../data/rows.jsonl, converter: messages}]
training:
  adapter: lora
  learning_rate: 2e-4
"""
ROW = '{"id": "1", "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
HEAVY = ("torch", "transformers", "axolotl", "datasets", "pydantic", "numpy", "pandas")

Commit = Callable[..., subprocess.CompletedProcess[str]]


def git(*arguments: str, at: Path) -> str:
    """Git without the settings of whoever runs the tests."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    identity = ("-c", "user.name=tester", "-c", "user.email=tester@example.org", "-c", "init.defaultBranch=main")
    result = subprocess.run(["git", *identity, *arguments], cwd=at, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This working tree as a repository with one commit, since pre-commit installs from a commit."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: which files belong to the project is not known")
    copy = tmp_path_factory.mktemp("recipekit")
    for name in filter(None, git("ls-files", "-z", "--cached", "--others", "--exclude-standard", at=ROOT).split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    git("init", "-q", at=copy)
    git("add", "-A", at=copy)
    git("commit", "-q", "-m", "as it is", at=copy)
    return copy


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pre-commit-store")


@pytest.fixture
def pre_commit(hooks: Path, store: Path, tmp_path: Path) -> Commit:
    """Writes files into a repository that uses the hooks, and runs pre-commit on all of it."""
    config = {"repos": [{"repo": str(hooks), "rev": git("rev-parse", "HEAD", at=hooks).strip()}]}
    config["repos"][0]["hooks"] = [{"id": "recipe-check"}, {"id": "recipe-data"}]
    (tmp_path / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    git("init", "-q", at=tmp_path)

    def run(files: dict[str, str]) -> subprocess.CompletedProcess[str]:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, "utf-8")
        git("add", "-A", at=tmp_path)
        command = [sys.executable, "-m", "pre_commit", "run", "--all-files", "--color", "never"]
        return subprocess.run(command, cwd=tmp_path, env={**os.environ, "PRE_COMMIT_HOME": str(store)}, capture_output=True, text=True)

    return run


def outcomes(result: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The word at the end of each hook's line."""
    lines = [line for line in result.stdout.splitlines() if "...." in line]
    return {line.partition("....")[0]: line.rpartition(".")[2].rpartition(")")[2] for line in lines}


def test_good_recipes_and_data_pass(pre_commit: Commit) -> None:
    many = {f"recipes/r{index}.yml": RECIPE.replace("small", f"small{index}") for index in range(60)}
    result = pre_commit({**many, "data/small/train.jsonl": ROW * 3, "data/raw.jsonl": "{}\n", "other.yaml": "not: a recipe"})
    assert outcomes(result) == {"check fine-tuning recipes": "Passed", "validate training records": "Passed"}, result.stdout + result.stderr
    assert result.returncode == 0


def test_a_typo_and_a_bad_row_stop_the_commit_with_their_places(pre_commit: Commit) -> None:
    bad_row = '{"id": "2", "messages": []}\n'
    result = pre_commit({"recipes/typo.yaml": RECIPE.replace("learning_rate", "lr"), "data/small/train.jsonl": ROW + bad_row})
    assert result.returncode == 1
    assert outcomes(result) == {"check fine-tuning recipes": "Failed", "validate training records": "Failed"}
    assert "recipes/typo.yaml:9:3: unknown key 'lr' in training\n    hint: did you mean 'learning_rate'?" in result.stdout
    assert "data/small/train.jsonl:2: messages: needs at least 2 items" in result.stdout


def test_a_recipe_is_found_where_recipe_new_writes_it(pre_commit: Commit, tmp_path: Path) -> None:
    (tmp_path / "faq.csv").write_text("question,answer\n" + "".join(f"What is {n} and why?,It is {n}\n" for n in range(8)), "utf-8")
    new = [sys.executable, "-m", "recipekit.runner", "new", "faq", "--data", "faq.csv"]
    subprocess.run(new, cwd=tmp_path, capture_output=True, check=True)
    text = (tmp_path / "faq.yml").read_text("utf-8")
    assert pre_commit({".github/workflow.yml": "extends: x", "compose.yml": "services: {}"}).returncode == 0
    result = pre_commit({"faq.yml": text.replace("learning_rate", "lr")})
    assert result.returncode == 1 and "unknown key 'lr' in training" in result.stdout, result.stdout


def test_without_recipes_nothing_runs(pre_commit: Commit) -> None:
    result = pre_commit({"notes.txt": "nothing"})
    assert set(outcomes(result).values()) == {"Skipped"}
    assert result.returncode == 0


def test_the_hooks_install_only_the_base_package(pre_commit: Commit, store: Path) -> None:
    pre_commit({"recipes/r.yml": RECIPE})
    (python,) = store.glob("repo*/py_env-*/bin/python")
    probe = f"from importlib.util import find_spec; print([name for name in {HEAVY!r} if find_spec(name)])"
    assert subprocess.run([python, "-c", probe], capture_output=True, text=True, check=True).stdout.strip() == "[]"
