"""Rules about `launch`: what cannot start, cannot be combined, or has no effect."""

from collections.abc import Iterator

from .base.counted import counted
from .findings import Finding, Rule, no_effect
from .sections import Recipe

SHARDING = ("deepspeed", "slurm", "ray")  # engines that take a zero_stage
CPU_ADAM = ("adamw_torch", "adamw_torch_fused")
BNB = ("adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit", "paged_adamw_32bit")


def deepspeed_keys_without_zero(recipe: Recipe) -> Iterator[Finding]:
    launch = recipe.launch
    if launch.engine == "deepspeed" and launch.zero_stage is None:
        yield Finding(("launch", "engine"), "deepspeed needs a zero_stage", "set zero_stage: 2")
    if launch.zero_stage and launch.engine not in SHARDING:
        what = f"is not supported with engine: {launch.engine}"
        yield Finding(("launch", "zero_stage"), what, "set engine: deepspeed, or remove zero_stage")
    if not launch.zero_stage:
        yield no_effect(("launch", "offload_optimizer"), " without zero_stage", "set zero_stage: 3")
    if not launch.is_sharded:
        yield no_effect(("launch", "offload_params"), " without zero_stage or fsdp", "set zero_stage: 3, or fsdp: true")
    if launch.zero_stage in (1, 2):
        yield no_effect(("launch", "offload_params"), f" with zero_stage: {launch.zero_stage}", "set zero_stage: 3")


def shards_twice(recipe: Recipe) -> Iterator[Finding]:
    launch = recipe.launch
    if launch.fsdp and launch.zero_stage:
        yield Finding(("launch", "fsdp"), "cannot be combined with zero_stage", "choose one of them")
    elif launch.fsdp and launch.engine in ("local", "deepspeed"):
        yield Finding(("launch", "fsdp"), f"is not supported with engine: {launch.engine}", "set engine: torchrun")
    if (bits := recipe.training.weight_bits) and launch.zero_stage == 3:
        hint = "use zero_stage: 2, or adapter: lora without load_in_8bit"
        yield Finding(("launch", "zero_stage"), f"ZeRO 3 cannot shard {bits}-bit weights", hint)


def optimizers_that_cannot_be_sharded(recipe: Recipe) -> Iterator[Finding]:
    launch, optimizer = recipe.launch, recipe.training.optimizer
    if launch.fsdp and optimizer in BNB:
        yield Finding(("training", "optimizer"), f"{optimizer} does not work with FSDP2", "use adamw_torch_fused")
    if launch.offload_optimizer and optimizer not in CPU_ADAM:
        hint = "use adamw_torch, which DeepSpeed replaces with its CPU Adam"
        yield Finding(("training", "optimizer"), f"{optimizer} cannot be combined with launch.offload_optimizer", hint)


def processes_without_launcher(recipe: Recipe) -> Iterator[Finding]:
    launch = recipe.launch
    if launch.engine == "local" and (launch.num_processes > 1 or launch.num_nodes > 1):
        yield Finding(("launch", "num_processes" if launch.num_processes > 1 else "num_nodes"),
                      "the local engine runs one process", "set engine: torchrun or deepspeed")  # fmt: skip
    if launch.num_nodes > 1 and not launch.main_address and not launch.hosts and launch.engine in ("torchrun", "deepspeed"):
        yield Finding(("launch", "num_nodes"), "several machines need main_address", "set main_address: HOST:PORT of the first machine")


def main_address_of_one_machine(recipe: Recipe) -> Iterator[Finding]:
    launch = recipe.launch
    if launch.engine in ("slurm", "ray"):
        yield no_effect(("launch", "main_address"), f" with engine: {launch.engine}")
    elif launch.hosts:
        yield no_effect(("launch", "main_address"), " with hosts: the first host is the main one")
    elif launch.num_nodes == 1:
        yield no_effect(("launch", "main_address"), " with one machine", "remove it, or set num_nodes: 2")


def hosts_of_another_number(recipe: Recipe) -> Iterator[Finding]:
    launch = recipe.launch
    if launch.engine != "deepspeed":
        yield no_effect(("launch", "hosts"), f" with engine: {launch.engine}", "set engine: deepspeed, or use main_address")
    elif launch.hosts and len(launch.hosts) != launch.num_nodes:
        yield Finding(("launch", "hosts"), f"lists {counted(len(launch.hosts), 'machine')}, but num_nodes is {launch.num_nodes}",
                      f"set num_nodes: {len(launch.hosts)}")  # fmt: skip


def sbatch_without_slurm(recipe: Recipe) -> Iterator[Finding]:
    launch = recipe.launch
    if launch.engine != "slurm":
        yield no_effect(("launch", "sbatch"), f" with engine: {launch.engine}", "set engine: slurm, or remove it")
    for key, ours in (
        ("nodes", "num_nodes"),
        ("ntasks-per-node", "num_processes"),
        ("ntasks", "num_processes"),
        ("signal", ""),
        ("output", ""),
    ):
        if key in launch.sbatch:
            hint = f"set launch.{ours}" if ours else "remove it"
            yield Finding(("launch", "sbatch", key), "is set by recipekit", hint)


LAUNCH_RULES: tuple[Rule, ...] = (
    deepspeed_keys_without_zero,
    shards_twice,
    optimizers_that_cannot_be_sharded,
    processes_without_launcher,
    main_address_of_one_machine,
    hosts_of_another_number,
    sbatch_without_slurm,
)
