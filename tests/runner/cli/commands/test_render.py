"""`recipe render` and `recipe run --dry-run`: the files and the command of a recipe, without running it."""

import json

import pytest
import yaml


@pytest.fixture
def small(recipe_file, minimal):
    """The path of a small recipe, in JSON, which is YAML too."""

    def write(changes=None):
        return recipe_file(json.dumps(minimal({"training.eval_steps": 5} | (changes or {}))))

    return write


def test_the_files_and_the_command_are_printed(recipe, small):
    done = recipe("render", small(), "--machine", "gpu")
    assert done.returncode == 0, done.stderr
    _, config, command = done.stdout.split("# rendered/")
    assert yaml.safe_load(config.partition("\n")[2])["learning_rate"] == 0.0001
    assert "python -m axolotl.cli.main train rendered/axolotl.yml --launcher python" in command


def test_json_is_one_object_with_files_argv_and_env(recipe, small):
    done = recipe("render", small({"launch": {"engine": "deepspeed", "zero_stage": 2}}), "--machine", "gpu", "--json")
    plan = json.loads(done.stdout)
    assert list(plan) == ["files", "argv", "env"]
    assert sorted(plan["files"]) == ["rendered/axolotl.yml", "rendered/command.txt", "rendered/deepspeed.json"]
    assert json.loads(plan["files"]["rendered/deepspeed.json"])["zero_optimization"]["stage"] == 2


def test_out_writes_the_same_files_and_prints_nothing_to_stdout(recipe, small, tmp_path):
    path = small()
    plan = json.loads(recipe("render", path, "--machine", "cpu", "--json").stdout)
    done = recipe("render", path, "--machine", "cpu", "--out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (0, "")
    assert {name: (tmp_path / "out" / name).read_text(encoding="utf-8") for name in plan["files"]} == plan["files"]
    assert "wrote " in done.stderr
    both = recipe("render", path, "--machine", "cpu", "--out", tmp_path / "both", "--json")
    assert json.loads(both.stdout) == plan and sorted(path.name for path in (tmp_path / "both" / "rendered").iterdir())


@pytest.mark.parametrize("arguments", [["render"], ["run", "--dry-run"]], ids=" ".join)
def test_substitutions_of_the_machine_are_reported(recipe, small, arguments):
    verb, *options = arguments
    done = recipe(verb, small({"training.optimizer": "paged_adamw_8bit"}), *options)
    assert "optimizer: adamw_torch instead of paged_adamw_8bit, which needs a GPU" in done.stderr
    assert "optimizer: adamw_torch\n" in done.stdout


def test_a_dry_run_trains_nothing_writes_nothing_and_needs_no_data(recipe, small, tmp_path):
    path = small()
    before = sorted(tmp_path.rglob("*"))
    done = recipe("run", path, "--dry-run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(json.loads(done.stdout)["files"]) == ["rendered/axolotl.yml", "rendered/command.txt"]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_key_can_be_overridden(recipe, small):
    done = recipe("render", small(), "--set", "training.learning_rate=3e-5", "--json")
    assert yaml.safe_load(json.loads(done.stdout)["files"]["rendered/axolotl.yml"])["learning_rate"] == 3e-5


def test_an_unwritable_path_is_reported(recipe, small, tmp_path):
    (tmp_path / "file").write_text("")
    done = recipe("render", small(), "--out", tmp_path / "file" / "out")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr and "Traceback" not in done.stderr


def test_a_recipe_with_problems_is_refused_with_their_places(recipe, recipe_file):
    done = recipe("render", recipe_file("recipe: 1\nname: small\nmodle: x\n"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "small.yml:3:1: " in done.stderr
