"""What starts the processes, engine by engine, and what a machine cannot start."""

import pytest
from recipekit.runner.launchers import command, of_node, one_process, processes_environment, unstartable
from recipekit.runner.machine import Machine
from recipekit.schemas.sections import Launch

CPU = Machine(cores=8)
GPUS = Machine("cuda", 4, "a GPU", 24 << 30, True)
CONFIG = "rendered/axolotl.yml"


@pytest.mark.parametrize("launch", [Launch(), Launch("torchrun"), Launch("slurm"), Launch("ray")], ids=str)
def test_one_process_needs_no_launcher(launch):
    assert one_process(launch)
    assert command(launch, CONFIG) == ("python", "-m", "axolotl.cli.main", "train", CONFIG, "--launcher", "python")
    assert processes_environment(launch, CPU) == {}


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
    assert argv[3:10] == ("python", "-m", "recipekit.runner.slurm_node", "--nproc_per_node", "8", "--nnodes", "2")


def test_ray_starts_its_workers_itself_and_leaves_them_in_the_runs_directory():
    assert "torch.distributed.run" not in command(Launch("ray", 4), CONFIG)
    assert processes_environment(Launch("ray", 4), GPUS)["RAY_CHDIR_TO_TRIAL_DIR"] == "0"


def test_a_checkpoint_on_the_way_out_has_time():
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
def test_what_a_machine_cannot_start_is_told_by_key(launch, machine, keys):
    assert [key for key, _, _ in unstartable(launch, machine)] == keys
