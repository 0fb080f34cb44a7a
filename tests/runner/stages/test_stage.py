"""The loop over stages: what is found in this run or an earlier one, what is run, what is recorded."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.runner.runtime.run_files import STATUS
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.runtime.seals import read_seal, seal_files, write_seal
from recipekit.runner.stages import data, train
from recipekit.runner.stages import stage as stage_module
from recipekit.runner.stages.context import RunContext
from recipekit.runner.stages.registry import STAGES
from recipekit.runner.stages.stage import complete, find, finished_run, require, reuse
from recipekit.schemas.base.errors import UserError

from ...support.chats import chat_data, chats
from ...support.jsonl import write_jsonl


class Printed(list[str]):
    """A display that remembers."""

    def say(self, stage: str, what: str, style: str = "") -> None:
        self.append(what)


class Copy:
    """A stage that writes one file with a letter in it, and counts how often it is run."""

    OPTIONAL_OUTPUTS: tuple[str, ...] = ()

    def __init__(self, name: str, letter: str | None, final: bool = False) -> None:
        self.NAME, self.letter, self.FINAL = name, letter, final
        self.OUTPUTS = (f"{name}.txt",)
        self.times = self.keys = 0

    def key(self, context):
        self.keys += 1
        return self.letter

    def faults(self, run):
        return [] if (run / self.OUTPUTS[0]).read_text().isalpha() else [f"{self.OUTPUTS[0]} is damaged"]

    def run(self, context):
        self.times += 1
        (context.run / self.OUTPUTS[0]).write_text(self.letter or "x")


@pytest.fixture
def work(tmp_path):
    """Completes stages in a new run that may reuse the given ones; returns the context."""

    def of(stages, *previous, name=None):
        run = name or RunFolder(tmp_path / f"run{len(list(tmp_path.iterdir()))}")
        run.path.mkdir(exist_ok=True)
        if not run.status:
            run.update(state="running")
        context = RunContext(SimpleNamespace(recipe=None), tmp_path, Printed(), run, previous)
        complete(stages, context)
        return context

    return of


def test_a_stage_is_run_once_and_recorded(work):
    stage = Copy("one", "a")
    first = work([stage])
    assert (first.outcomes, first.run.stages) == ({"one": "done"}, {"one": "a"})
    again = work([stage], name=first.run)
    assert (again.outcomes, stage.times) == ({"one": "done before"}, 1)


def test_an_earlier_run_with_the_same_key_is_reused_the_newest_first(work):
    stage = Copy("one", "a")
    runs = [work([stage]).run, work([Copy("one", "b")]).run]
    third = work([stage], *reversed(runs))
    assert (third.outcomes, stage.times) == ({"one": "reused"}, 1)
    assert (third.run / "one.txt").read_text() == "a" and third.run.stages == {"one": "a"}
    assert f"unchanged since {runs[0].path.name}: reused" in third.display


def test_another_key_runs_a_stage_again_but_a_final_one_keeps_what_the_run_has(work):
    for final, outcome in ((False, "done"), (True, "done before")):
        run = work([Copy("one", "a", final)]).run
        assert work([Copy("one", "b", final)], name=run).outcomes == {"one": outcome}


@pytest.mark.parametrize("is_recorded", [False, True])
def test_outputs_that_another_process_replaces_meanwhile_are_not_reused(work, monkeypatch, is_recorded):
    """`recipe eval` of the earlier run, just when its files are linked: the numbers would be those of another evaluation."""
    stage, source = Copy("one", "a"), work([Copy("one", "a")]).run

    def replaced_meanwhile(run, target, its_stage):
        (run / "one.txt").write_text("b")
        if is_recorded:
            run.update(stages={"one": "b"})
            seal_files(run.path, ["one.txt"])
        reuse(run, target, its_stage)

    monkeypatch.setattr(stage_module, "reuse", replaced_meanwhile)
    found = work([stage], source)
    assert (found.outcomes, (found.run / "one.txt").read_text()) == ({"one": "done"}, "a")
    assert f"{source.path.name} was changed by another process: not used" in found.display


def test_a_stage_that_fails_leaves_its_old_outputs_sealed(work):
    """They would be believed, whatever somebody made of them. Those of a final stage are written in place."""

    class Fails(Copy):
        def run(self, context):
            raise KeyError("no space")

    for final, sealed in ((False, True), (True, False)):
        run = work([Copy("one", "a")]).run
        run.update(stages={"one": "another key"} if not final else {})
        with pytest.raises(KeyError):
            work([Fails("one", "b", final)], name=run)
        assert ("one.txt" in (read_seal(run.path) or {})) == sealed


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("b")], ids=["removed", "edited"])
def test_a_stage_whose_old_outputs_were_changed_finds_no_seal_of_them(work, damage):
    """It would be refused what it is about to write again."""
    seen = []

    class Looks(Copy):
        def run(self, context):
            seen.append(read_seal(context.run.path))
            super().run(context)

    run = work([Copy("one", "a")]).run
    damage(run / "one.txt")
    assert (work([Looks("one", "a")], name=run).outcomes, seen) == ({"one": "done"}, [{}])


def test_a_stage_without_a_key_is_run_every_time_and_not_recorded(work):
    stage = Copy("one", None)
    run = work([stage]).run
    assert work([stage], name=run).outcomes == {"one": "done"} and run.stages == {}


def test_no_key_is_computed_before_it_is_needed_and_none_twice(work):
    stage = Copy("one", "a")
    first = work([stage])
    assert stage.keys == 1
    work([stage], first.run, work([Copy("one", "b")]).run)
    assert stage.keys == 2, "once for each run, though two were looked at"


def test_damaged_outputs_are_reported_and_made_again(work):
    stage = Copy("one", "a")
    run = work([stage]).run
    (run / "one.txt").write_text("?!")
    again = work([stage], name=run)
    assert again.outcomes == {"one": "done"}
    assert again.display == [f"{run.path}: one.txt has changed since it was saved: not used", "one.txt is damaged: not used"]


class Folder(Copy):
    """The same in a folder that has a seal of its own, as a model."""

    def __init__(self, name: str, letter: str) -> None:
        super().__init__(name, letter)
        self.OUTPUTS = (name,)

    def faults(self, run):
        return []

    def run(self, context):
        self.times += 1
        (context.run / self.NAME).mkdir(exist_ok=True)
        (context.run / self.NAME / "weights").write_text(self.letter or "x")
        write_seal(context.run / self.NAME)


def test_a_folder_whose_own_seal_finds_a_change_is_made_again(work):
    stage = Folder("model", "a")
    run = work([stage]).run
    assert set(read_seal(run.path) or {}) == {"model/sealed.json"}
    (run / "model" / "weights").write_text("b")
    again = work([stage], name=run)
    assert f"{run / 'model'}: weights has changed since it was saved: not used" in again.display
    assert (again.outcomes, stage.times, (run / "model" / "weights").read_text()) == ({"model": "done"}, 2, "a")


def test_a_missing_output_is_named_once_and_made_again(work):
    run = work([Copy("one", "a")]).run
    (run / "one.txt").unlink()
    again = work([Copy("one", "a"), Copy("one", "a")], name=run)
    assert (again.outcomes, again.display) == ({"one": "done before"}, [f"{run / 'one.txt'} is missing: not used"])


def test_an_optional_output_that_was_changed_is_not_sealed_as_it_is(work):
    """What is done again may not write it again, as a training that takes no further step has no time."""

    class Timed(Copy):
        OPTIONAL_OUTPUTS = ("seconds.txt", "memory.txt")

        def run(self, context):
            super().run(context)
            if self.times == 1:
                (context.run / "seconds.txt").write_text("12")
                (context.run / "memory.txt").write_text("3")

    stage = Timed("one", "a", final=True)
    run = work([stage]).run
    (run / "seconds.txt").write_text("1")
    assert work([stage], name=run).outcomes == {"one": "done"}
    assert not (run / "seconds.txt").exists() and (run / "memory.txt").read_text() == "3"
    assert set(read_seal(run.path) or {}) == {"one.txt", "memory.txt"}


def test_a_state_that_cannot_be_read_is_refused_of_this_run_and_only_told_of_an_earlier_one(work):
    stage = Copy("one", "a")
    context, earlier = work([stage]), work([stage]).run
    for run in (context.run, earlier):
        (run / STATUS.name).write_bytes(b"{")
    with pytest.raises(UserError, match=STATUS.name):
        find(stage, context)
    assert work([stage], earlier).outcomes == {"one": "done"}


def test_a_finished_run_has_every_stage_and_looking_runs_nothing(work, tmp_path):
    stages = [Copy("one", "a"), Copy("two", "b"), Copy("last", None)]
    run = work(stages).run
    run.update(state="done")

    def looked(wanted):
        return finished_run(wanted, RunContext(SimpleNamespace(recipe=None), tmp_path, Printed(), previous=[run]))

    assert looked(stages) is run
    assert looked([*stages, Copy("three", "c")]) is None and looked([stages[0], Copy("two", "other")]) is None
    run.update(state="failed")
    assert looked(stages) is None
    assert [stage.times for stage in stages] == [1, 1, 1]


def test_stages_of_two_runs_do_not_make_a_finished_one(work, tmp_path):
    runs = [work([Copy("one", "a")]).run, work([Copy("two", "b")]).run]
    for run in runs:
        run.update(state="done")
    context = RunContext(SimpleNamespace(recipe=None), tmp_path, Printed(), previous=runs)
    assert finished_run([Copy("one", "a"), Copy("two", "b")], context) is None


def test_missing_outputs_of_a_required_stage_are_reported(work, tmp_path):
    stage = Copy("one", "a")
    run = work([stage]).run
    require([stage], RunContext(SimpleNamespace(recipe=None), tmp_path, Printed(), run))
    (run / "one.txt").unlink()
    with pytest.raises(UserError, match="has no usable one.txt: the stage one is incomplete"):
        require([stage], RunContext(SimpleNamespace(recipe=None), tmp_path, Printed(), run))


@pytest.fixture
def converted(tmp_path: Path):
    """Makes a run with converted data."""
    rows = write_jsonl(tmp_path / "rows.jsonl", chats(20))

    def make(name, stages):
        folder = RunFolder(tmp_path / "runs" / "small" / name)
        folder.path.mkdir(parents=True)
        folder.write(STATUS, {"state": "done", "stages": stages})
        if stages:
            build(chat_data(rows), folder / "data")
        return folder

    return make


@pytest.mark.parametrize("own", [True, False], ids=["of the run itself", "of an earlier run"])
def test_data_with_a_flipped_bit_are_not_used(converted, own):
    earlier = converted("1", {"data": "key"})
    now, others = (earlier, []) if own else (converted("2", {}), [earlier])

    def context(display):
        found = RunContext(SimpleNamespace(recipe=None), now.path, display, now, others)
        found.keys["data"] = "key"
        return found

    assert find(data, context(Printed())) is earlier
    path = earlier / "data" / "train.jsonl"
    content = bytearray(path.read_bytes())
    content[50] ^= 4
    path.write_bytes(content)
    display = Printed()
    assert find(data, context(display)) is None
    assert "is damaged: its sha256 is" in display[0]


@pytest.fixture
def run(tmp_path):
    """Makes a run that has completed stages, with their outputs."""

    def make(name, *stages):
        folder = RunFolder(tmp_path / "runs" / "small" / name)
        folder.path.mkdir(parents=True)
        folder.write(STATUS, {"state": "done", "stages": {stage.NAME: "a" for stage in stages}})
        for stage in stages:
            for output in (*stage.OUTPUTS, *stage.OPTIONAL_OUTPUTS):
                path = folder / output
                if path.suffix:
                    path.write_text(f"{output} of {name}\n")
                else:
                    (path / "nested").mkdir(parents=True)
                    (path / "nested" / "file").write_text(f"{output} of {name}\n")
        return folder

    return make


@pytest.mark.parametrize("output", train.OUTPUTS)
def test_a_run_that_has_lost_an_output_is_not_reused(run, output, tmp_path):
    damaged = run("1", train)
    shutil.rmtree(damaged / output) if (damaged / output).is_dir() else (damaged / output).unlink()
    assert find(train, RunContext(SimpleNamespace(recipe=None), tmp_path, Printed(), damaged)) is None


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.NAME)
def test_outputs_are_reused_whole(run, stage):
    source, target = run("1", stage), run("2")
    reuse(source, target, stage)
    for output in (*stage.OUTPUTS, *stage.OPTIONAL_OUTPUTS):
        path = (target / output) / "nested" / "file" if (target / output).is_dir() else target / output
        assert path.read_text() == f"{output} of 1\n"


def test_weights_are_linked_not_copied(run):
    source, target = run("1", train), run("2")
    reuse(source, target, train)
    assert (source / "model" / "nested" / "file").samefile(target / "model" / "nested" / "file")


def test_a_training_that_continues_in_the_new_run_leaves_the_source_as_it_was(run):
    source, target = run("1", train), run("2")
    reuse(source, target, train)
    for name in ("metrics.jsonl", "tokens.json"):
        with (target / name).open("w") as stream:  # as the trainer does
            stream.write("other")
        assert (source / name).read_text() == f"{name} of 1\n"
