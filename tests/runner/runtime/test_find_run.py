"""Which runs there are, and which of them a name means."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from recipekit.runner.cli.commands.runs import command
from recipekit.runner.models.reference import resolve_target
from recipekit.runner.runtime.find_run import all_runs, find_run
from recipekit.runner.runtime.run_files import STATUS
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.yaml_writing import to_yaml


@pytest.fixture
def root(tmp_path):
    """Three runs of two recipes."""
    for name in ("quick/20250101-000000-aaaaaa", "quick/20250301-000000-bbbbbb", "other/20250201-000000-cccccc"):
        RunFolder(tmp_path / name).write(STATUS, {"recipe": name.partition("/")[0], "state": "done"})
    (tmp_path / "quick" / "20250401-000000-dddddd").mkdir()  # has not begun: it has no status
    return tmp_path


def test_all_runs_come_newest_first(root):
    assert [run.path.name[-6:] for run in all_runs(root)] == ["bbbbbb", "cccccc", "aaaaaa"]
    assert [run.path.name[-6:] for run in all_runs(root, "quick")] == ["bbbbbb", "aaaaaa"]
    assert all_runs(root / "absent") == []


@pytest.mark.parametrize("name", ["quick", "20250301-000000-bbbbbb", "quick/20250301-000000-bbbbbb"])
def test_a_run_is_found_by_recipe_by_name_and_by_directory(root, name, monkeypatch):
    monkeypatch.chdir(root)
    assert find_run(name, root).path.resolve() == root / "quick" / "20250301-000000-bbbbbb"


def test_a_recipes_name_is_a_smoke_run_only_if_it_has_no_other(root):
    newest, older = all_runs(root, "quick")
    newest.update(smoke=True)
    assert find_run("quick", root).path == older.path and find_run("quick", root, with_smoke=True).path == newest.path
    assert find_run(newest.path.name, root).path == newest.path
    older.update(smoke=True)
    assert find_run("quick", root).path == newest.path


@pytest.mark.parametrize("name", ["quickk", "20250401-000000-dddddd", "", ".", "*", "/", "qu[i]ck", "**"])
def test_a_run_that_is_not_there_is_reported(root, name, tmp_path):
    with pytest.raises(UserError, match="no such run"):
        find_run(name, root)


@pytest.mark.parametrize("inside", ["", "model", "merged", "report.html", "model/"])
def test_a_run_is_found_by_what_is_in_it(root, inside, monkeypatch):
    run = root / "quick" / "20250301-000000-bbbbbb"
    monkeypatch.chdir(root.parent)
    for name in (run / inside, Path(root.name, "quick", run.name, inside), Path("quick", run.name, inside)):
        assert find_run(str(name), Path(root.name)).path.resolve() == run


def test_a_run_is_found_by_its_recipes_file(root, tmp_path, minimal):
    path = tmp_path / "mine.yml"
    path.write_text(to_yaml(minimal({"name": "quick"})))
    assert find_run(str(path), root).path.name == "20250301-000000-bbbbbb"


def test_a_misspelt_name_and_a_recipe_without_runs_have_a_hint(root):
    with pytest.raises(UserError, match="did you mean 'quick'?"):
        find_run("quik", root)
    with pytest.raises(UserError, match="it has not been run: recipe run emogpt_qwen"):
        find_run("emogpt_qwen", root)


def test_a_run_without_its_state_is_named_with_the_file(tmp_path):
    folder = tmp_path / "tiny" / "20260101-000000-abcdef"
    folder.mkdir(parents=True)
    (folder / "recipe.yml").write_text("recipe: 1\n")
    (folder / "sealed.json").write_text("{}")
    for name in (str(folder), "tiny/20260101-000000-abcdef"):
        with pytest.raises(UserError, match="status.json: is missing: without it the folder is no run"):
            find_run(name, tmp_path)


@contextmanager
def another_user() -> Iterator[None]:
    """Within it, a process of root has no right that others do not have."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def shared_runs() -> Iterator[Path]:
    """A folder of runs that everybody may list, with a run that nobody else may open."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "quick" / "20250301-000000-bbbbbb"
        run.mkdir(parents=True)
        RunFolder(run).update(state="done")
        for closed, mode in ((Path(folder), 0o755), (run, 0o000)):
            closed.chmod(mode)
        yield Path(folder)
        run.chmod(0o700)


@pytest.mark.parametrize("name", ["quick", "20250301-000000-bbbbbb", "quick/20250301-000000-bbbbbb"])
def test_a_run_that_this_user_may_not_open_is_named(shared_runs, name):
    with another_user(), pytest.raises(UserError, match="quick/20250301-000000-bbbbbb: may not be opened by this user"):
        find_run(name, shared_runs)


@pytest.mark.parametrize("name", ["quick", "20250301-000000-bbbbbb"])
def test_a_model_that_this_user_may_not_open_is_named(shared_runs, name):
    with another_user(), pytest.raises(UserError, match="quick/20250301-000000-bbbbbb: may not be opened by this user"):
        resolve_target(name, shared_runs)


@pytest.mark.parametrize("mode", [0o700, 0o744])
def test_a_recipes_folder_that_this_user_may_not_open_is_named(shared_runs, mode):
    (shared_runs / "quick").chmod(mode)
    with another_user(), pytest.raises(UserError, match="quick: may not be opened by this user"):
        find_run("quick", shared_runs)
    with another_user():
        done = CliRunner().invoke(command, ["--runs-dir", str(shared_runs)])
    assert f"not listed: 1 folder that this user may not open: {shared_runs}/quick\n" in done.output


def test_the_list_of_runs_says_what_it_leaves_out(shared_runs):
    with another_user():
        done = CliRunner().invoke(command, ["--runs-dir", str(shared_runs)])
    assert f"not listed: 1 folder that this user may not open: {shared_runs}/quick/20250301-000000-bbbbbb" in done.output
