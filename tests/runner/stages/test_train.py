"""The train stage's key changes with whatever goes into the weights, and with nothing else. The training itself: test_run.py."""

from types import SimpleNamespace

import pytest
from recipekit.runner.runtime.machine import Machine
from recipekit.runner.runtime.run_files import TRAINING_END
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.stages import train as stage
from recipekit.runner.stages.train import remove_torn_rows, train_key
from recipekit.runner.worker.prepared_rows import seal_rows
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Recipe

GPU = Machine("cuda", 1, "a GPU", 24 << 30, True)


def test_the_train_key_changes_with_configuration_data_model_launch_and_machine(planned):
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
    monkeypatch.setattr(stage, "package_versions", lambda: {"torch": "0.1"})
    assert train_key(planned(), "data", "model") != before


def test_evaluation_settings_do_not_train_again(planned):
    same = planned({"description": "other words", "evaluation.metrics": ["token_accuracy"]})
    assert train_key(same, "data", "model") == train_key(planned(), "data", "model")


@pytest.fixture
def ended(tmp_path, minimal):
    """What is recorded of a training of 20 rows, two epochs of 10 steps, that ended so; and what was said."""

    def record(*events, **changes):
        recipe, printed = Recipe.from_values(minimal({"training.num_epochs": 2, "training.micro_batch_size": 2} | changes)), []
        context = SimpleNamespace(run=RunFolder(tmp_path), recipe=recipe, manifest={"splits": {"train": 20}},
                                  display=SimpleNamespace(say=lambda _, what: printed.append(what)))  # fmt: skip
        stage._record_end(context, [dict(zip(("steps", "planned_steps", "reason"), event, strict=True)) for event in events])
        return context.run.read(TRAINING_END), printed

    return record


def test_the_steps_that_were_planned_are_recorded(ended):
    assert ended((20, 20, "")) == ({"steps": 20, "planned_steps": 20, "reason": ""}, [])


def test_fewer_steps_are_recorded_with_the_reason(ended):
    end, kept = {"steps": 6, "planned_steps": 20, "reason": "early stopping"}, "early stopping after step 6 of 20"
    assert ended((6, 20, "early stopping"), **{"training.load_best_model_at_end": True}) == (end, [kept])
    assert ended((6, 20, "early stopping")) == (
        end, [f"{kept}: the last weights are kept, not the best (load_best_model_at_end: true keeps those)"])  # fmt: skip


@pytest.mark.parametrize(
    "event", [(21, 20, ""), (19, 20, ""), (18, 18, ""), (6, 18, "early stopping")],
    ids=["one step more", "one less", "as many as the trainer planned", "the trainer planned others"],
)  # fmt: skip
def test_other_steps_than_planned_are_refused(ended, event, tmp_path):
    with pytest.raises(UserError, match=f"ended after step {event[0]} of {event[1]}, but 20 were planned"):
        ended(event)
    assert not (tmp_path / "training.json").exists()


def test_a_trainer_that_does_not_say_how_it_ended_is_refused(ended):
    with pytest.raises(UserError, match="without reporting its last step"):
        ended()


def test_the_steps_of_packed_rows_are_those_of_the_trainer(ended):
    assert ended((7, 7, ""), **{"training.sample_packing": True})[0]["steps"] == 7


@pytest.fixture
def rows(tmp_path):
    """Tokenised rows of two splits, and what `datasets` has copied on the way."""
    for name in ("0a", "0b", "cache"):
        (tmp_path / "prepared" / name).mkdir(parents=True)
        (tmp_path / "prepared" / name / "data-00000-of-00001.arrow").write_bytes(b"rows")
    return tmp_path / "prepared"


def test_rows_whose_tokenisation_was_killed_are_tokenised_again(tmp_path, rows) -> None:
    seal_rows(rows)
    (rows / "0b" / "sealed.json").unlink()
    assert (remove_torn_rows(RunFolder(tmp_path)), rows.exists()) == ([], False)


def test_tokenised_rows_that_were_changed_since_are_not_trained(tmp_path, rows) -> None:
    """A bit of them is another token: the training would resume on other rows, or train what is masked."""
    run = RunFolder(tmp_path)
    seal_rows(rows)
    assert (remove_torn_rows(run), rows.is_dir()) == ([], True)
    (rows / "0a" / "data-00000-of-00001.arrow").write_bytes(b"sows")
    said = f"{rows / '0a'}: data-00000-of-00001.arrow has changed since it was saved: the rows are tokenised again"
    assert (remove_torn_rows(run), rows.exists()) == ([said], False)
