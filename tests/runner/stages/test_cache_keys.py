"""A stage's key changes with whatever goes into the stage, and with nothing else."""

import pytest
from recipekit.converters.sources import emogpt
from recipekit.runner.launch.axolotl_config import RenderedData
from recipekit.runner.launch.plan import plan
from recipekit.runner.runtime.machine import Machine
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.stages import cache_keys
from recipekit.runner.stages.cache_keys import data_key, evaluate_key, finished, reuse, train_key
from recipekit.schemas.base.hashing import key_of
from recipekit.schemas.sections import Data, Evaluation, Gate, Generation, Recipe, Source, Split

from ...support.tiny import emogpt_rows, write_jsonl

GPU = Machine("cuda", 1, "a GPU", 24 << 30, True)


@pytest.fixture
def rows(tmp_path):
    return write_jsonl(tmp_path / "a" / "rows.jsonl", emogpt_rows(6))


def key_of_data(path, **changes):
    source = {key: changes.pop(key) for key in list(changes) if key in Source._fields}
    return data_key(Data("chat", (Source(str(path), "emogpt", **source),), **changes))


def test_the_data_key_is_the_same_for_the_same_bytes_wherever_they_lie(rows, tmp_path):
    elsewhere = tmp_path / "another folder" / "deep" / "rows.jsonl"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_bytes(rows.read_bytes())
    assert key_of_data(rows) == key_of_data(elsewhere)


def test_the_data_key_changes_with_one_byte_though_name_size_and_time_stay(rows):
    import os

    before, times, content = key_of_data(rows), rows.stat(), bytearray(rows.read_bytes())
    content[-10] ^= 1
    rows.write_bytes(content)
    os.utime(rows, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (rows.stat().st_size, rows.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    assert key_of_data(rows) != before


@pytest.mark.parametrize(
    "change",
    [
        {"options": {"require_emoji": True}},
        {"weight": 2},
        {"limit": 3},
        {"split": "train"},
        {"system_prompt": "Be brief."},
        {"dedup": "none"},
        {"max_dropped": 0.5},
        {"check_leaks": "none"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_data_key_changes_with_every_key_of_the_section(rows, change):
    assert key_of_data(rows, **change) != key_of_data(rows)


@pytest.mark.parametrize(
    "split", [Split(validation=0.2), Split(test=0.1), Split(seed=1), Split(group_by=("tree_id",)), Split(stratify_by="x")]
)
def test_the_data_key_changes_with_the_split(rows, split):
    data = Data("chat", (Source(str(rows), "emogpt"),))
    assert data_key(data._replace(split=split)) != data_key(data)


def test_the_data_key_changes_with_the_converter_and_its_version(rows, monkeypatch):
    before = key_of_data(rows)
    assert data_key(Data("chat", (Source(str(rows), "messages"),))) != before
    monkeypatch.setattr(emogpt, "VERSION", emogpt.VERSION + 1)
    assert key_of_data(rows) != before


def test_the_data_key_changes_with_a_file_that_comes_into_the_folder(rows):
    before = key_of_data(rows.parent)
    write_jsonl(rows.parent / "more.jsonl", [])
    assert key_of_data(rows.parent) != before


@pytest.fixture
def planned(minimal):
    def build(changes=None, machine=GPU):
        recipe = Recipe.from_values(minimal(changes))
        return plan(recipe, RenderedData(), machine, recipe.model.base_model)

    return build


def test_the_train_key_changes_with_its_inputs(planned):
    keys = [
        train_key(planned(), "data", "model@1"),
        train_key(planned({"training.seed": 1}), "data", "model@1"),
        train_key(planned({"training.learning_rate": 0.0001000001}), "data", "model@1"),
        train_key(planned({"launch": {"engine": "torchrun", "num_processes": 2}}), "data", "model@1"),
        train_key(planned(machine=Machine()), "data", "model@1"),
        train_key(planned(), "other data", "model@1"),
        train_key(planned(), "data", "model@2"),
    ]
    assert len(set(keys)) == len(keys)
    assert train_key(planned(), "data", "model@1") == keys[0]


def test_the_train_key_changes_with_the_packages_that_train(planned, monkeypatch):
    before = train_key(planned(), "data", "model")
    monkeypatch.setattr(cache_keys, "package_versions", lambda: {"torch": "0.1"})
    assert train_key(planned(), "data", "model") != before


def test_what_is_only_evaluated_or_described_does_not_train_again(planned):
    same = planned({"description": "other words", "evaluation.metrics": ["token_accuracy"]})
    assert train_key(same, "data", "model") == train_key(planned(), "data", "model")


def test_the_evaluate_key_changes_with_what_is_measured_and_on_what():
    changes = [
        (Evaluation(), "test", "trained"),
        (Evaluation(), "validation", "trained"),
        (Evaluation(), "test", "trained anew"),
        (Evaluation(metrics=("token_accuracy",)), "test", "trained"),
        (Evaluation(max_rows=5), "test", "trained"),
        (Evaluation(confidence=0.9), "test", "trained"),
        (Evaluation(generation=Generation(max_new_tokens=1)), "test", "trained"),
        (Evaluation(gates={"perplexity": Gate(max=9)}), "test", "trained"),
    ]
    assert len({evaluate_key(*values) for values in changes}) == len(changes)


def test_keys_do_not_depend_on_the_order_of_a_mapping():
    assert key_of({"a": 1, "b": (1, 2)}) == key_of({"b": [1, 2], "a": 1})
    assert key_of([1, 2]) != key_of([2, 1])


def test_only_packages_that_are_installed_have_a_version():
    assert "" not in cache_keys.package_versions().values()


@pytest.fixture
def run(tmp_path):
    """Makes a run that has completed stages, with their outputs."""

    def make(name, **keys):
        folder = RunFolder(tmp_path / "runs" / "small" / name)
        folder.path.mkdir(parents=True)
        folder.write("status.json", {"stages": keys})
        for stage in keys:
            for output in cache_keys.OUTPUTS[stage]:
                path = folder / output
                if path.suffix:
                    path.write_text(f"{output} of {name}\n")
                else:
                    (path / "nested").mkdir(parents=True)
                    (path / "nested" / "file").write_text(f"{output} of {name}\n")
        return folder

    return make


def test_the_newest_run_that_completed_the_stage_with_the_key_is_found(run):
    run("1", data="a")
    newer, other = run("2", data="a"), run("3", data="b", train="a")
    found = finished(cache_keys.previous_runs(newer.path.parent.parent, "small"), "data", "a")
    assert found and found.path == newer.path
    assert finished([other], "data", "c") is None


@pytest.mark.parametrize("output", cache_keys.OUTPUTS["train"])
def test_a_run_that_has_lost_an_output_is_not_reused(run, output):
    import shutil

    damaged = run("1", train="a")
    shutil.rmtree(damaged / output) if (damaged / output).is_dir() else (damaged / output).unlink()
    assert finished([damaged], "train", "a") is None


@pytest.mark.parametrize("stage", cache_keys.STAGES)
def test_outputs_are_reused_whole(run, stage):
    source, target = run("1", **{stage: "a"}), run("2")
    reuse(source, target, stage)
    for output in cache_keys.OUTPUTS[stage]:
        path = (target / output) / "nested" / "file" if (target / output).is_dir() else target / output
        assert path.read_text() == f"{output} of 1\n"


def test_weights_are_linked_not_copied(run):
    source, target = run("1", train="a"), run("2")
    reuse(source, target, "train")
    assert (source / "model" / "nested" / "file").samefile(target / "model" / "nested" / "file")


def test_a_training_that_goes_on_in_the_new_run_leaves_the_source_as_it_was(run):
    source, target = run("1", train="a"), run("2")
    reuse(source, target, "train")
    for name in ("metrics.jsonl", "tokens.json"):
        with (target / name).open("w") as stream:  # as the trainer does
            stream.write("other")
        assert (source / name).read_text() == f"{name} of 1\n"
