"""The plan as a value: files, command, environment; nothing in it can be taken for anything but data."""

import json
import shlex
import sys

import pytest
import yaml
from recipekit.runner.launch.axolotl_config import RenderedData, substitutions
from recipekit.runner.launch.engines import of_node
from recipekit.runner.launch.plan import CONFIG, plan
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.sections import Recipe

CPU = Machine()
GPU = Machine("cuda", 1, "a GPU", 24 << 30, True)
HOSTILE = [
    "; rm -rf /",
    "$(touch canary)",
    "`touch canary`",
    "two\nlines: 1",
    "{{ 7 * 7 }}",
    "--help",
    "-x",
    "!!python/name:os.system",
    "&a *a",
]


@pytest.mark.parametrize("rate", [2e-4, 1e-05, 5e-06, 3e-10, 1.0, 0.1, 1e16, 2.5e-7])
def test_floats_round_trip(planned, rate):
    read = yaml.safe_load(planned({"training.learning_rate": rate}).files[CONFIG])["learning_rate"]
    assert isinstance(read, float) and read == rate


def test_no_number_anywhere_is_read_back_as_text(planned):
    training = {"adam_epsilon": 1e-8, "weight_decay": 1e-2, "warmup_ratio": 3e-2, "max_grad_norm": 5e-1}
    config = yaml.safe_load(planned({f"training.{key}": value for key, value in training.items()}).files[CONFIG])
    assert {key: config[key] for key in training} == training


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_stay_inert_in_the_yaml(planned, value):
    config = yaml.safe_load(planned({"model.base_model": value, "model.end_of_turn": value}).files[CONFIG])
    assert config["base_model"] == value
    assert config["eot_tokens"] == [value]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_stay_one_argument(planned, value):
    made = planned({"launch": {"engine": "torchrun", "num_processes": 2, "num_nodes": 2, "main_address": f"{value}:29500"}})
    assert f"--master_addr={value}" in made.argv
    assert value not in made.argv


@pytest.mark.parametrize("value", HOSTILE)
def test_the_command_for_people_can_be_pasted_into_a_shell(planned, value):
    made = planned({"launch": {"engine": "torchrun", "num_nodes": 2, "main_address": value}}, CPU)
    words = shlex.split(made.files["rendered/command.txt"])
    assert tuple(words[-len(made.argv) :]) == made.argv
    assert dict(word.split("=", 1) for word in words[: -len(made.argv)]) == made.env


def test_one_process_is_started_without_a_launcher(planned):
    assert planned().argv == ("python", "-m", "axolotl.cli.main", "train", CONFIG, "--launcher", "python")


def test_several_processes_are_started_by_torchrun_with_their_number(planned):
    argv = planned({"launch": {"engine": "torchrun", "num_processes": 4}}).argv
    torchrun = ("python", "-m", "torch.distributed.run", "--nproc_per_node", "4", "--standalone")
    assert argv == (*torchrun, "-m", "axolotl.cli.train", CONFIG)


def test_several_machines_meet_at_the_address_of_the_first(planned):
    argv = planned({"launch": {"engine": "torchrun", "num_processes": 8, "num_nodes": 2, "main_address": "10.0.0.1:29500"}}).argv
    assert argv[5:11] == ("--nnodes", "2", "--node_rank", "0", "--master_addr=10.0.0.1", "--master_port=29500")
    assert of_node(argv, 1)[5:11] == ("--nnodes", "2", "--node_rank", "1", "--master_addr=10.0.0.1", "--master_port=29500")


def test_a_checkpoint_is_an_argument_of_axolotl_and_not_of_its_launcher(planned):
    for launch in ({}, {"engine": "torchrun", "num_processes": 4}):
        argv = planned({"launch": launch}).resuming("checkpoints/checkpoint-4").argv
        assert argv[argv.index(CONFIG) + 1] == "--resume-from-checkpoint=checkpoints/checkpoint-4"


def test_the_threads_of_a_cpu_are_shared_by_its_processes(planned):
    launch = {"engine": "torchrun", "num_processes": 4}
    assert planned({"launch": launch}, Machine(cores=16)).env["OMP_NUM_THREADS"] == "4"
    assert planned({"launch": launch}, Machine(cores=2)).env["OMP_NUM_THREADS"] == "1"
    assert "OMP_NUM_THREADS" not in planned({"launch": launch}).env
    assert "OMP_NUM_THREADS" not in planned(machine=CPU).env


def test_zero_with_one_process_still_needs_a_launcher(planned):
    made = planned({"launch": {"engine": "deepspeed", "zero_stage": 2}})
    assert "torch.distributed.run" in made.argv
    assert json.loads(made.files["rendered/deepspeed.json"])["zero_optimization"]["stage"] == 2


def test_without_zero_there_is_no_deepspeed_file(planned):
    assert set(planned().files) == {CONFIG, "rendered/command.txt"}


@pytest.mark.parametrize("machine", [CPU, GPU])
def test_no_telemetry_is_sent(planned, machine):
    env = planned(machine=machine).env
    assert env["AXOLOTL_DO_NOT_TRACK"] == env["DO_NOT_TRACK"] == "1"


def test_on_a_cpu_no_gpu_is_looked_for_and_on_a_gpu_none_is_hidden(planned):
    assert planned(machine=CPU).env["CUDA_VISIBLE_DEVICES"] == ""
    assert "CUDA_VISIBLE_DEVICES" not in planned(machine=GPU).env
    assert planned(machine=GPU).env["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID", "the first GPU of nvidia-smi is the one that is rendered for"


def test_wandb_stays_offline_and_is_not_mentioned_where_it_is_not_used(planned):
    assert planned({"training.trackers": ["wandb"]}).env["WANDB_MODE"] == "offline"
    assert "WANDB_MODE" not in planned().env


def test_the_command_runs_with_our_own_interpreter(planned):
    plan = planned()
    assert plan.executable() == (sys.executable, *plan.argv[1:])


def test_the_same_recipe_gives_the_same_plan(planned):
    assert planned() == planned()


@pytest.mark.parametrize(("gpus", "visible", "chosen"), [(1, None, None), (4, None, "0"), (4, "2,3", "2")])
def test_one_process_sees_one_gpu_of_several(minimal, monkeypatch, gpus, visible, chosen):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    machine = Machine("cuda", gpus, "a GPU", 24 << 30, True)
    recipe = Recipe.from_values(minimal())
    assert plan(recipe, RenderedData(), machine, "some/model").env.get("CUDA_VISIBLE_DEVICES") == chosen
    assert [f"{gpus} GPUs" in line for line in substitutions(recipe, machine)] == [True] * (gpus > 1)


@pytest.mark.parametrize(("visible", "chosen"), [(None, "0"), ("MIG-1,MIG-2", "MIG-1")])
def test_one_process_sees_one_part_of_a_divided_gpu(minimal, monkeypatch, visible, chosen):
    """Since driver 570 it would find several, and transformers would divide each batch among them."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    machine, recipe = Machine("cuda", 1, "part of an A100", 0, True), Recipe.from_values(minimal())
    assert plan(recipe, RenderedData(), machine, "some/model").env.get("CUDA_VISIBLE_DEVICES") == chosen
    assert substitutions(recipe, machine) == []
