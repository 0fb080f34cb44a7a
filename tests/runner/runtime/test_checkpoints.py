"""Which checkpoints can be resumed: complete and unchanged ones, the newest first; every other is passed over with the reason."""

import json

import pytest
from recipekit.runner.runtime.checkpoints import fault, newest, other_training
from recipekit.runner.runtime.seals import write_seal
from recipekit.schemas.base.hashing import SEAL

FILES = {"model.safetensors": b"weights" * 99, "optimizer.pt": b"moments", "rng_state.pth": b"", "nested/scheduler.pt": b"schedule"}


@pytest.fixture
def checkpoint(tmp_path):
    """Makes a checkpoint of so many steps, sealed when it is asked for."""

    def make(step, sealed=True):
        folder = tmp_path / f"checkpoint-{step}"
        for name, content in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        if sealed:
            write_seal(folder)
        return folder

    return make


def test_a_sealed_checkpoint_has_no_fault(checkpoint):
    assert fault(checkpoint(4)) is None


def test_the_seal_holds_every_file_but_itself(checkpoint):
    folder = checkpoint(4)
    write_seal(folder)  # again: the seal that is there is not sealed
    assert set(json.loads((folder / SEAL).read_text())) == set(FILES)


def test_a_checkpoint_that_was_not_sealed_was_not_completed(checkpoint):
    assert fault(checkpoint(4, sealed=False)) == "it is incomplete"


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(checkpoint, name):
    folder = checkpoint(4)
    (folder / name).unlink()
    assert fault(folder) == f"{name} is missing"


@pytest.mark.parametrize("name", [name for name, content in FILES.items() if content])
@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: bytes([b[0] ^ 1]) + b[1:]], ids=["cut", "longer", "bit"]
)
def test_a_file_that_was_cut_lengthened_or_had_one_bit_turned_is_named(checkpoint, name, damage):
    folder = checkpoint(4)
    (folder / name).write_bytes(damage(FILES[name]))
    assert fault(folder) == f"{name} has changed since it was saved"


@pytest.mark.parametrize("text", ["", "{", "{}", "\0\0", "[]", "3", '{"model.safetensors": 3}', '{"../../x": {}}', "\udcff"])
def test_a_seal_that_is_damaged_is_not_a_seal(checkpoint, text):
    folder = checkpoint(4)
    (folder / SEAL).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert fault(folder) is not None


def test_the_newest_is_the_one_with_the_most_steps_not_the_last_by_name(checkpoint, tmp_path):
    for step in (8, 100, 20):
        checkpoint(step)
    found, skipped = newest(tmp_path)
    assert (found, skipped) == (tmp_path / "checkpoint-100", [])


def test_damaged_newer_checkpoints_are_skipped_with_a_reason(checkpoint, tmp_path):
    for step in (4, 8, 12, 16):
        checkpoint(step, sealed=step != 16)
    (tmp_path / "checkpoint-12" / "optimizer.pt").unlink()
    (tmp_path / "checkpoint-4" / "optimizer.pt").unlink()  # older than the one that is found: nobody asks
    found, skipped = newest(tmp_path)
    assert found == tmp_path / "checkpoint-8"
    assert skipped == [
        "skipping checkpoint-16: it is incomplete",
        "skipping checkpoint-12: optimizer.pt is missing",
    ]


def test_without_a_checkpoint_that_can_be_trusted_there_is_none(checkpoint, tmp_path):
    checkpoint(4, sealed=False)
    assert newest(tmp_path) == (None, ["skipping checkpoint-4: it is incomplete"])
    assert newest(tmp_path / "absent") == (None, [])


def test_other_folders_are_not_checkpoints(checkpoint, tmp_path):
    folder = checkpoint(4)
    folder.rename(tmp_path / "checkpoint-best")
    (tmp_path / "checkpoint-7").write_text("a file")
    assert newest(tmp_path)[0] is None


def lock(key, **changes):
    sections = {"model": {"identity": "a@1"}, "packages": {"torch": "2.12"}, "machine": {"device": "cuda"}}
    return {"train_key": key, **sections, **changes}


def test_a_run_that_has_not_trained_has_no_other_training():
    assert other_training(None, lock("a")) == []


def test_notes_do_not_change_the_training_identity():
    assert other_training(lock("a", machine={"device": "cuda", "cores": 8}), lock("a")) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"identity": "a@2"}}, "model.identity was a@1 and is a@2"),
        ({"packages": {"torch": "2.13"}}, "packages.torch was 2.12 and is 2.13"),
        ({"packages": {}}, "packages.torch was 2.12 and is None"),
        ({"machine": {"device": "cpu"}}, "machine.device was cuda and is cpu"),
        ({}, "its configuration or its data changed"),
    ],
)
def test_the_changed_training_setting_is_reported(changes, message):
    assert other_training(lock("a"), lock("b", **changes)) == [message]
