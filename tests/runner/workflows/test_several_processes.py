"""Two processes under torchrun with the real Axolotl: the same training as one process's, stopped, killed and resumed on the way."""

import json
import os
import signal
from pathlib import Path

import pytest
from recipekit.runner.runtime.checkpoints import fault

from ...support.held_process import held_at
from ...support.recipe_process import start, wait_for_step
from ...support.single_process import ROWS, SAME, losses, settings
from ...support.tiny import write_recipe
from ...support.waiting import PATIENCE, wait_until

pytestmark = [pytest.mark.train, pytest.mark.long]
TWO = ["launch.engine=torchrun", "launch.num_processes=2", "training.micro_batch_size=2"]


def workers(run: Path) -> dict[int, int]:
    """Rank -> process id of the processes that train in this directory; not of those that load batches for them."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"axolotl.cli.train" not in (folder / "cmdline").read_bytes() or (folder / "cwd").resolve() != run.resolve():
                continue
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended meanwhile
            continue
        if b"torch.distributed.run" in command_of(parent_of(int(folder.name))):
            found |= {int(entry[5:]): int(folder.name) for entry in environment if entry.startswith(b"RANK=")}
    return found


def command_of(process: int) -> bytes:
    path = Path(f"/proc/{process}/cmdline")
    return path.read_bytes() if path.exists() else b""


def parent_of(process: int) -> int:
    path = Path(f"/proc/{process}/stat")
    return int(path.read_text().rpartition(")")[2].split()[1]) if path.exists() else 0


def all_end(run: Path) -> bool:
    """Wait until no process works in this directory; one that loads batches looks for its parent every five seconds."""
    return wait_until(lambda: not any(works_in(folder, run) for folder in Path("/proc").glob("[0-9]*")))


def works_in(process: Path, run: Path) -> bool:
    try:
        return (process / "cwd").readlink() == run.resolve()
    except OSError:  # it has ended, or is somebody else's
        return False


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_model) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    write_recipe(folder, tiny_model, rows=ROWS)
    return folder


@pytest.fixture(scope="module")
def story(workplace, recipe) -> dict:
    """One run of two processes: stopped by SIGTERM, resumed, one process killed, resumed to the end."""
    root, site = workplace / "two", workplace / "site"
    process = start("run", "tiny.yml", *settings(*SAME, *TWO), "--runs-dir", "two", cwd=workplace, **held_at(1, site))
    run = wait_for_step(root, 1, process)
    process.send_signal(signal.SIGTERM)
    results = {"run": run, "stopped": (process.communicate(timeout=PATIENCE)[1], process.returncode), "ended": all_end(run)}
    results["checkpoints"] = {path.name: fault(path) for path in (run / "checkpoints").glob("checkpoint-*")}
    process = start("resume", str(run), cwd=workplace, **held_at(5, site, rank="1"))
    wait_for_step(root, 5, process)
    os.kill(workers(run)[1], signal.SIGKILL)
    results["killed"] = (process.communicate(timeout=PATIENCE)[1], process.returncode)
    results["orphans ended"], results["before"] = all_end(run), losses(run)
    results["resumed"] = recipe("resume", run, "--json", cwd=workplace)
    return results


def test_two_processes_train_what_one_trains(losses_of_one, story):
    """The same rows in the same steps: only the order of float32 sums differs, 1e-7 each, and AdamW carries that on."""
    assert story["resumed"].returncode == 0, story["resumed"].stderr
    assert losses(story["run"]) == pytest.approx(losses_of_one, rel=1e-4)
    assert len(losses_of_one) == 7


def test_a_signal_stops_all_processes_at_the_same_step(story):
    output, code = story["stopped"]
    assert code == 130
    assert "recipe resume" in output
    assert story["ended"]
    assert story["checkpoints"] and set(story["checkpoints"].values()) == {None}


def test_a_killed_process_ends_the_run_without_orphans(story):
    output, code = story["killed"]
    assert code == 1
    assert "one of its processes was killed" in output and "recipe resume" in output
    assert story["orphans ended"]


def test_steps_that_are_trained_again_give_the_same_bits(story):
    again = losses(story["run"])
    assert {step: again[step] for step in story["before"]} == story["before"]
    assert len(story["before"]) >= 5


def test_a_checkpoint_holds_the_random_state_of_both_processes(story):
    kept = list((story["run"] / "checkpoints").glob("checkpoint-*"))
    assert kept
    for checkpoint in kept:
        assert fault(checkpoint) is None
        sealed = json.loads((checkpoint / "sealed.json").read_text())
        assert {"rng_state_0.pth", "rng_state_1.pth"} <= set(sealed)


def test_verify_resume_kills_and_resumes_two_processes(workplace, recipe):
    """Under torchrun the checkpoint must be the trainer's argument, not the launcher's."""
    given = [*SAME[:1], *TWO, "training.eval_steps=null", "training.lr_scheduler=constant"]
    done = recipe("verify-resume", "tiny.yml", *settings(*given), "--steps", "2", "--json", "--runs-dir", "verified", cwd=workplace)
    assert done.returncode == 0, done.stderr
    proof = json.loads(done.stdout)
    assert proof["same"] and proof["steps"] == 4
    assert [kill["resumed_from"] for kill in proof["kills"]][-1] == "checkpoint-4"


# Aborts as a thread of gloo's does that is destroyed while it runs: after Python has ended.
ABORTING = """
import ctypes, os
if "RANK" in os.environ:
    libc = ctypes.CDLL(None)
    libc.on_exit(ctypes.cast(libc.abort, ctypes.c_void_p), None)
"""


def test_processes_that_abort_once_everything_is_saved_have_trained(workplace, recipe, losses_of_one):
    (workplace / "aborting").mkdir()
    (workplace / "aborting" / "sitecustomize.py").write_text(ABORTING)
    paths = os.pathsep.join([str(workplace / "aborting"), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = recipe("run", "tiny.yml", *settings(*SAME, *TWO), "--json", "--runs-dir", "aborted", cwd=workplace, PYTHONPATH=paths)
    assert done.returncode == 0, done.stderr
    assert "training ended with exit code 1 after everything was saved: nothing is lost" in done.stderr
    run = workplace / json.loads(done.stdout)["run"]
    assert "SIGABRT" in (run / "train.log").read_text(errors="replace")
    assert losses(run) == pytest.approx(losses_of_one, rel=1e-4)


def test_a_launcher_that_is_killed_takes_its_processes_along(workplace):
    held = held_at(1, workplace / "site")
    process = start("run", "tiny.yml", *settings(*SAME, *TWO), "--runs-dir", "launcher", cwd=workplace, **held)
    run = wait_for_step(workplace / "launcher", 1, process)
    os.kill(parent_of(workers(run)[0]), signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert all_end(run)
