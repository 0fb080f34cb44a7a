"""What starts the processes, engine by engine, and what a machine cannot start."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest
from recipekit.runner.launch.axolotl_config import RenderedData
from recipekit.runner.launch.engines import command, of_node, one_process, processes_environment, unstartable
from recipekit.runner.launch.plan import plan
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.sections import Launch, Recipe

from ...support.waiting import PATIENCE

CPU = Machine(cores=8)
GPUS = Machine("cuda", 4, "a GPU", 24 << 30, True)
CONFIG = "rendered/axolotl.yml"


@pytest.mark.parametrize("launch", [Launch(), Launch("torchrun"), Launch("slurm"), Launch("ray")], ids=str)
def test_one_process_needs_no_launcher(launch):
    assert one_process(launch)
    assert command(launch, CONFIG) == ("python", "-m", "axolotl.cli.main", "train", CONFIG, "--launcher", "python")
    stays = {"RAY_CHDIR_TO_TRIAL_DIR": "0"} if launch.engine == "ray" else {}
    assert processes_environment(launch, CPU) == stays, "Ray's worker trains in the run's directory, also where it is the only one"


@pytest.mark.parametrize("launch", [Launch("deepspeed", zero_stage=1), Launch("torchrun", fsdp=True), Launch("torchrun", 2)], ids=str)
def test_sharding_and_several_processes_need_torchrun(launch):
    assert command(launch, CONFIG)[:3] == ("python", "-m", "torch.distributed.run")
    assert command(launch, CONFIG)[-3:] == ("-m", "axolotl.cli.train", CONFIG)


def test_the_second_machine_differs_from_the_first_by_its_number_alone():
    first = command(Launch("torchrun", 2, 3, "node-a:29500"), CONFIG)
    assert [pair for pair in zip(first, of_node(first, 2), strict=True) if pair[0] != pair[1]] == [("0", "2")]


def test_srun_starts_one_torchrun_on_each_machine_of_a_job():
    argv = command(Launch("slurm", 8, 2), CONFIG)
    assert argv[:3] == ("srun", "--ntasks-per-node=1", "--kill-on-bad-exit=1")
    assert argv[3:10] == ("python", "-m", "recipekit.runner.launch.slurm_node", "--nproc_per_node", "8", "--nnodes", "2")


def test_ray_starts_its_workers_itself_and_leaves_them_in_the_runs_directory():
    assert "torch.distributed.run" not in command(Launch("ray", 4), CONFIG)
    assert processes_environment(Launch("ray", 4), GPUS)["RAY_CHDIR_TO_TRIAL_DIR"] == "0"


def test_a_checkpoint_after_a_signal_has_time():
    assert int(processes_environment(Launch("torchrun", 2), GPUS)["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"]) >= 600


@pytest.mark.parametrize(
    ("launch", "machine", "keys"),
    [
        (Launch("torchrun", 2), CPU, []),
        (Launch("deepspeed", 2, zero_stage=2), CPU, ["zero_stage"]),
        (Launch("torchrun", 2, fsdp=True), CPU, ["fsdp"]),
        (Launch("ray", 2), CPU, ["engine"]),
        (Launch("torchrun", 4), GPUS, []),
        (Launch("torchrun", 5), GPUS, ["num_processes"]),
        (Launch("deepspeed", 4, zero_stage=3), GPUS, []),
    ],
    ids=str,
)
def test_an_unstartable_launch_is_reported_by_key(launch, machine, keys):
    assert [key for key, _, _ in unstartable(launch, machine)] == keys


HOSTS = Launch("deepspeed", 4, 2, hosts=("node-a", "node-b.lan"), zero_stage=3)
PARSE = """
import json, sys
from deepspeed.launcher.runner import fetch_hostfile, parse_args, parse_inclusion_exclusion
args = parse_args(sys.argv[1:])
machines = fetch_hostfile(args.hostfile)
found = {"machines": machines, "used": parse_inclusion_exclusion(machines, "", ""), "module": args.module, "script": args.user_script,
         "arguments": args.user_args, "no_local_rank": args.no_local_rank}
print("answers:" + json.dumps(found))
"""


@pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs the extra [train]: deepspeed")
def test_deepspeed_parses_the_hostfile_and_command(tmp_path, minimal):
    recipe = Recipe.from_values(minimal({"launch": HOSTS._asdict() | {"hosts": list(HOSTS.hosts)}}))
    made = plan(recipe, RenderedData(), GPUS, "some/model")
    for name, text in made.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    argv = [sys.executable, "-W", "ignore", "-c", PARSE, *made.resuming("checkpoints/checkpoint-4").argv[3:]]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.partition("answers:")[2])
    assert answer["machines"] == {"node-a": 4, "node-b.lan": 4}
    assert answer["used"] == {"node-a": [0, 1, 2, 3], "node-b.lan": [0, 1, 2, 3]}
    assert answer["module"] and answer["no_local_rank"] and answer["script"] == "axolotl.cli.train"
    assert answer["arguments"] == [CONFIG, "--resume-from-checkpoint=checkpoints/checkpoint-4"]
    environment = dict(line.split("=", 1) for line in made.files[".deepspeed_env"].splitlines())
    assert environment == made.env
