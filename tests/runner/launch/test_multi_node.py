"""Two machines, which are two network namespaces of this one: the same training as one machine's, and what is left when one is lost."""

import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from recipekit.runner.launch import multi_node as module
from recipekit.runner.launch.multi_node import announce, join
from recipekit.runner.launch.plan import Plan
from recipekit.runner.runtime.checkpoints import fault
from recipekit.runner.runtime.console import Display
from recipekit.runner.runtime.run_files import LAUNCH_COMMAND
from recipekit.runner.runtime.run_folder import create
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Launch

from ...support.held_process import held_at
from ...support.recipe_process import COMMAND, environment
from ...support.single_process import ROWS, SAME, losses, settings
from ...support.tiny import write_recipe
from ...support.waiting import PATIENCE, wait_until

TWO = ["launch.engine=torchrun", "launch.num_nodes=2", "launch.main_address=10.77.0.1:29517", "training.micro_batch_size=2"]


def test_the_command_for_other_machines_uses_any_python(tmp_path):
    run = create("small", "abcdef", tmp_path)
    with run.locked():
        announce(run, Launch("torchrun", 2), Plan({}, ("python", "-m", "x"), {}))
        assert not (run / "launch.json").exists()
        announce(run, Launch("torchrun", 2, 2, "h:1"), Plan({}, ("python", "-m", "x", "--node_rank", "0"), {"A": "1"}))
    facts = run.read(LAUNCH_COMMAND)
    assert facts["argv"] == ["python", "-m", "x", "--node_rank", "0"] and facts["env"] == {"A": "1"} and facts["nodes"] == 2
    assert facts["holder"].startswith(f"process {os.getpid()} on ")


def test_join_needs_the_first_machine_and_a_known_node(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 1)
    run = create("small", "abcdef", tmp_path)
    run.update(state="running")
    with pytest.raises(UserError, match="no training has started here"):
        join(run, 1, Display())
    with run.locked():
        announce(run, Launch("torchrun", 2, 2, "h:1"), Plan({}, ("python", "--node_rank", "0"), {}))
        with pytest.raises(UserError, match="a number from 1 to 1"):
            join(run, 2, Display())
    (run / "lock").write_text("process 1 on elsewhere")
    with pytest.raises(UserError, match="no training has started here"):
        join(run, 1, Display())


@pytest.fixture(scope="module")
def machines():
    """Two network namespaces with a cable between them: 10.77.0.1 and 10.77.0.2."""
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("network namespaces need root and the program ip")
    location = secrets.token_hex(2)
    names, ends = [f"recipe-{location}-{i}" for i in (1, 2)], [f"rk{location}{i}" for i in (1, 2)]

    def ip(*words: str) -> bool:
        return subprocess.run(["ip", *words], capture_output=True, check=False).returncode == 0

    try:
        done = [ip("netns", "add", name) for name in names] + [ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])]
        for number, (name, end) in enumerate(zip(names, ends, strict=True), start=1):
            done += [ip("link", "set", end, "netns", name), ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", end)]
            done += [ip("-n", name, "link", "set", device, "up") for device in ("lo", end)]
        if not all(done):
            pytest.skip("this machine allows no network namespaces")
        yield list(zip(names, ends, strict=True))
    finally:
        for name in names:
            ip("netns", "del", name)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_model) -> Path:
    folder = tmp_path_factory.mktemp("machines")
    write_recipe(folder, tiny_model, rows=ROWS)
    return folder


def on(machine: tuple[str, str], workplace: Path, *arguments: str, **more: str) -> subprocess.Popen:
    name, interface = machine
    argv, env = ["ip", "netns", "exec", name, *COMMAND, *arguments], environment(GLOO_SOCKET_IFNAME=interface, **more)
    return subprocess.Popen(argv, cwd=workplace, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def story(machines, workplace) -> dict:
    """Both train; the second is killed, with its trainer, after step 4; the first resumes, the second joins again."""
    root = workplace / "two"
    first = on(machines[0], workplace, "run", "tiny.yml", *settings(*SAME, *TWO), "--runs-dir", "two")
    run = wait_until(lambda: next(iter(root.glob("tiny/*/launch.json")), None), first).parent
    second = on(machines[1], workplace, "join", str(run), "--node", "1", **held_at(4, workplace / "site"))
    wait_until(lambda: (run / "metrics.jsonl").exists() and len(losses(run)) >= 4, first)
    for pid in subprocess.run(["ip", "netns", "pids", machines[1][0]], capture_output=True, text=True, check=True).stdout.split():
        os.kill(int(pid), signal.SIGKILL)
    results = {
        "run": run,
        "first": (first.communicate(timeout=PATIENCE)[1], first.returncode),
        "second": second.communicate(timeout=PATIENCE)[1],
    }
    results["checkpoints"] = {path.name: fault(path) for path in (run / "checkpoints").glob("checkpoint-*")}
    first = on(machines[0], workplace, "resume", str(run))
    second = on(machines[1], workplace, "join", str(run), "--node", "1")
    results["resumed"] = (first.communicate(timeout=300)[1], first.returncode)
    results["joined"] = (second.communicate(timeout=PATIENCE)[1], second.returncode)
    return results


@pytest.mark.train
@pytest.mark.long
def test_two_machines_train_what_one_trains(losses_of_one, story):
    assert story["resumed"][1] == story["joined"][1] == 0, story["resumed"][0] + story["joined"][0]
    assert losses(story["run"]) == pytest.approx(losses_of_one, rel=1e-4)  # the order of float32 sums, carried on by AdamW
    assert len(losses_of_one) == 7


@pytest.mark.train
@pytest.mark.long
def test_a_lost_machine_ends_the_other_with_a_checkpoint(story):
    output, code = story["first"]
    assert code == 1
    assert "another of its processes or machines ended" in output and "recipe resume" in output and "Traceback" not in output
    assert story["checkpoints"] == {"checkpoint-3": None}
