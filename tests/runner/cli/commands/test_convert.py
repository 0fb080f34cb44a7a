"""`recipe convert`: with a recipe and without one; whatever happens, a folder is complete or as it was."""

import json
import signal

import pytest
from recipekit.runner.cli.commands.convert import command, converter_options
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.json_schema import schema

from ....support.held_process import held, wait_for_held
from ....support.jsonl import write_jsonl
from ....support.recipe_process import start
from ....support.tiny import emogpt_rows
from ....support.waiting import PATIENCE

CHAT = {"messages": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."}]}


@pytest.fixture
def rows(tmp_path):
    return write_jsonl(tmp_path / "rows.jsonl", emogpt_rows(40))


def adds_up(manifest):
    return manifest["rows_in"] == manifest["rows_kept"] + sum(manifest["dropped"].values())


def test_without_a_recipe_files_become_records_and_a_manifest(recipe, rows, tmp_path):
    arguments = ["--converter", "emogpt", "--validation", "0.25", "--group-by", "tree_id", "--seed", "7"]
    done = recipe("convert", rows, *arguments, "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)
    assert manifest["rows_in"] == 40 and adds_up(manifest)
    assert manifest["splits"] == {"train": 30, "validation": 10}
    assert manifest.pop("out") == str(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == manifest
    assert len((tmp_path / "out" / "train.jsonl").read_text().splitlines()) == 30


def test_without_json_people_get_a_table_on_stderr(recipe, rows, tmp_path):
    done = recipe("convert", rows, "--converter", "emogpt", "--out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (0, "")
    assert "kept" in done.stderr and "40" in done.stderr


def test_with_a_recipe_its_own_data_section_decides(recipe, rows, tmp_path, recipe_file, minimal):
    sources = [{"path": "rows.jsonl", "converter": "emogpt"}]
    path = recipe_file(json.dumps(minimal({"data.sources": sources, "data.split": {"validation": 0.5}, "data.system_prompt": "Be brief."})))
    done = recipe("convert", path, "--json", "--set", "data.split.seed=3", cwd=tmp_path)
    manifest = json.loads(done.stdout)
    assert manifest["out"] == "data/small" and manifest["splits"] == {"train": 20, "validation": 20}
    first = json.loads((tmp_path / "data" / "small" / "train.jsonl").read_text().splitlines()[0])
    assert first["messages"][0] == {"role": "system", "content": "Be brief."}


def test_an_option_of_the_converter_has_an_effect(recipe, rows, tmp_path):
    plain = [{**row, "metadata": row["metadata"] | {"augmented": False}} for row in emogpt_rows(3)]
    write_jsonl(rows, plain)
    arguments = ["--converter", "emogpt", "--option", "require_augmented=false", "--out", tmp_path / "out", "--json"]
    assert json.loads(recipe("convert", rows, *arguments).stdout)["rows_kept"] == 3


@pytest.mark.parametrize(
    ("arguments", "code", "output"),
    [
        (["--converter", "emogpt"], 2, "--converter needs --out DIR"),
        (["--converter", "emogpt", "--out", "out", "--option", "require_augmented"], 2, "expected key=value"),
        (["--converter", "emogpt", "--out", "out", "--option", "require_augmentd=true"], 1, "did you mean 'require_augmented'?"),
        (["--converter", "emogpt", "--out", "out", "--type", "text"], 1, "makes chat records, not text"),
        (["--converter", "nope", "--out", "out"], 2, "is not one of"),
        (["second.jsonl"], 2, "one RECIPE, or --converter NAME PATH..."),
    ],
)
def test_wrong_usage_is_reported_and_nothing_is_written(recipe, rows, tmp_path, arguments, code, output):
    done = recipe("convert", rows, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert output in done.stderr and "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.jsonl"]


def test_a_file_that_is_not_there_is_reported(recipe, tmp_path):
    done = recipe("convert", tmp_path / "absent.jsonl", "--converter", "messages", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "absent.jsonl: no such file" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_bad_rows_are_all_named_by_file_and_line_and_the_old_folder_stays(recipe, tmp_path):
    path, out = tmp_path / "rows.jsonl", tmp_path / "out"
    write_jsonl(path, [CHAT])
    assert recipe("convert", path, "--converter", "messages", "--out", out).returncode == 0
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    write_jsonl(path, [CHAT, {"messages": []}, CHAT, {"nothing": 1}])
    done = recipe("convert", path, "--converter", "messages", "--out", out)
    assert done.returncode == 1
    assert "rows.jsonl:2" in done.stderr and "rows.jsonl:4" in done.stderr
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_a_foreign_folder_is_kept(recipe, rows, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    done = recipe("convert", rows, "--converter", "emogpt", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "exists and was not written by recipekit" in done.stderr
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("number", "again"),
    [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGHUP, True)],
    ids=["SIGINT", "SIGTERM", "SIGTERM again and again", "SIGHUP again and again"],
)
def test_a_conversion_that_is_stopped_exits_130_and_leaves_nothing(tmp_path, tmp_path_factory, number, again):
    """Also where the signal does not wait for the end: Slurm, systemd and timeout(1) send it to a process and to its group."""
    write_jsonl(tmp_path / "rows.jsonl", [{**CHAT, "padding": "x" * 2000, "n": index} for index in range(1000)])
    arguments, site = (
        ["convert", "rows.jsonl", "--converter", "messages", "--dedup", "none", "--out", "out"],
        tmp_path_factory.mktemp("site"),
    )
    after_the_first_batch = held("converters.building.conversion", "convert_batch", "lambda spec, batch: batch.line > 1", site)
    process = start(*arguments, cwd=tmp_path, **after_the_first_batch)
    wait_for_held(site, process)
    assert list(tmp_path.glob(".out.*"))
    process.send_signal(number)
    while again and process.poll() is None:
        process.send_signal(number)
    output = process.communicate(timeout=PATIENCE)[1]
    assert (process.returncode, output.strip()) == (130, "interrupted")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize(
    ("content", "output"), [("", "the sources have no rows"), ('{"messages": []}\n', "none of 1 row is left: 1 no messages")]
)
def test_a_conversion_to_nothing_is_not_a_success(command_line, tmp_path, content, output):
    (tmp_path / "rows.jsonl").write_text(content)
    outcome = command_line("convert", "--converter", "messages", tmp_path / "rows.jsonl", "--max-dropped", "1", "--out", tmp_path / "out")
    assert (outcome.code, outcome.out) == (1, "")
    assert output in outcome.err
    assert not (tmp_path / "out").exists()


def test_an_option_that_a_recipe_would_ignore_is_wrong_usage(command_line):
    outcome = command_line("convert", "quickstart", "--seed", "7", "--dedup", "near")
    assert outcome.code == 2
    assert "--seed, --dedup: only with --converter" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["--validation", "2"], "2.0 is not in the range 0<=x<=0.9"),
        (["--validation", "nan"], "nan is not in the range 0<=x<=0.9"),
        (["--test", "-0.1"], "-0.1 is not in the range 0<=x<=0.9"),
        (["--test", "inf"], "inf is not in the range 0<=x<=0.9"),
        (["--validation", "0.6", "--test", "0.6"], "their sum must be below 1"),
        (["--max-dropped", "-1"], "-1.0 is not in the range 0<=x<=1"),
        (["--max-dropped", "NaN"], "NaN is not in the range 0<=x<=1"),
        (["--seed", "-1"], "-1 is not in the range 0<=x<=4294967295"),
        (["--group-by", ""], "--group-by, --stratify-by: the key must not be empty"),
        (["--stratify-by", ""], "--group-by, --stratify-by: the key must not be empty"),
        (["--set", "training.lora_r=3"], "--set: only with a RECIPE"),
    ],
)
def test_options_that_no_recipe_could_say_are_wrong_usage(command_line, rows, tmp_path, arguments, output):
    outcome = command_line("convert", rows, "--converter", "emogpt", "--out", tmp_path / "out", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert output in " ".join(outcome.err.split())
    assert not (tmp_path / "out").exists()


def test_the_ranges_of_the_options_are_those_of_a_recipe():
    parameters = {parameter.name: parameter.type for parameter in command.params}
    known = {**schema("recipe")["$defs"]["split"]["properties"], **schema("recipe")["properties"]["data"]["properties"]}
    for name in ("validation", "test", "seed", "max_dropped"):
        assert (parameters[name].min, parameters[name].max) == (known[name]["minimum"], known[name]["maximum"]), name


def test_a_revision_of_a_file_is_wrong_usage(command_line, tmp_path):
    outcome = command_line("convert", "--converter", "table", "rows.csv", "--revision", "v1", "--out", tmp_path / "out")
    assert outcome.code == 2
    assert "need an hf: dataset" in outcome.err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("user_template=Asked: {text}. How sure are you?", "Asked: {text}. How sure are you?"),
        ("user_template={title}: {body}", "{title}: {body}"),
        ("user_template=[{tag}] {text}", "[{tag}] {text}"),
        ('user_template="Asked: {text}\\n"', "Asked: {text}\n"),
        ("user_key=7", "7"),
    ],
)
def test_an_option_that_takes_only_text_takes_it_as_it_is(option, value):
    assert [*converter_options("table", (option,)).values()] == [value]


def test_other_options_are_yaml():
    assert converter_options("table", ("keep_meta=[a, b]", "label_names={1: bad}")) == {
        "keep_meta": ["a", "b"],
        "label_names": {"1": "bad"},
    }
    with pytest.raises(UserError, match="not YAML"):
        converter_options("table", ("keep_meta=[a",))
