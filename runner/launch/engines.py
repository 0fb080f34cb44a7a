"""Launch section -> the command that starts the training's processes, and what their environment needs. Pure."""

from ...schemas.sections import Launch
from ..runtime.machine import Machine

# Seconds that a checkpoint may take after Ctrl-C before torchrun kills the processes; its own default is 30.
CHECKPOINT_SECONDS = 900

HOSTFILE = "rendered/hostfile"


def command(launch: Launch, config: str) -> tuple[str, ...]:
    """One process is started by Axolotl itself, several by torchrun, as Axolotl would: `config` is what they train."""
    if one_process(launch):
        return ("python", "-m", "axolotl.cli.main", "train", config, "--launcher", "python")
    if launch.engine == "ray":  # Axolotl reads use_ray from its file
        return ("python", "-m", "axolotl.cli.main", "train", config, "--launcher", "python")
    processes, trainer = ("--nproc_per_node", str(launch.num_processes)), ("-m", "axolotl.cli.train", config)
    if launch.engine == "slurm":
        once_on_each = ("srun", "--ntasks-per-node=1", "--kill-on-bad-exit=1")
        return (
            *once_on_each,
            "python",
            "-m",
            "recipekit.runner.launch.slurm_node",
            *processes,
            "--nnodes",
            str(launch.num_nodes),
            *trainer,
        )
    if launch.hosts:
        return (
            "python",
            "-m",
            "deepspeed.launcher.runner",
            "--hostfile",
            HOSTFILE,
            "--no_local_rank",
            "--module",
            "axolotl.cli.train",
            config,
        )
    meeting: tuple[str, ...] = ("--standalone",)
    if launch.num_nodes > 1:
        # Ranks by the machine's number: with c10d they follow who comes first, and rows would be dealt out differently.
        host, _, port = (launch.main_address or "").rpartition(":")
        meeting = ("--nnodes", str(launch.num_nodes), "--node_rank", "0", f"--master_addr={host}", f"--master_port={port}")
    # Not `axolotl --launcher torchrun`: that looks for torchrun on the PATH, where another environment's may stand.
    return ("python", "-m", "torch.distributed.run", *processes, *meeting, *trainer)


def unstartable(launch: Launch, machine: Machine) -> list[tuple[str, str, str]]:
    """Key of launch, what is wrong, hint: what this machine cannot start."""
    found = []
    if machine.is_cpu:
        for key, wanted, why in (
            ("zero_stage", launch.zero_stage, "DeepSpeed trains under Axolotl on GPUs only"),
            ("fsdp", launch.fsdp, "FSDP2 trains under Axolotl on GPUs only"),
            ("engine", launch.engine == "ray", "Axolotl asks Ray for GPUs"),
        ):
            if wanted:
                found.append((key, f"{why}, and this machine has none", "engine: torchrun trains with several processes on a CPU"))
    elif launch.num_processes > machine.gpus:
        found.append(("num_processes", f"{launch.num_processes} processes, but this machine has {machine.gpus} GPUs", "one for each GPU"))
    return found


def hostfile(launch: Launch) -> str:
    """The machines for DeepSpeed, each with its number of processes."""
    return "".join(f"{host} slots={launch.num_processes}\n" for host in launch.hosts)


def of_node(argv: tuple[str, ...], node: int) -> tuple[str, ...]:
    """The first machine's command as machine number `node` starts it."""
    at = argv.index("--node_rank") + 1
    return (*argv[:at], str(node), *argv[at + 1 :])


def one_process(launch: Launch) -> bool:
    """Whether a single process trains; sharding needs a process group even then."""
    return launch.num_processes == launch.num_nodes == 1 and not launch.zero_stage and not launch.fsdp


def processes_environment(launch: Launch, machine: Machine) -> dict[str, str]:
    """What several processes need, and one of Ray's; torchrun alone would give each of them one thread."""
    env = {"RAY_CHDIR_TO_TRIAL_DIR": "0"} if launch.engine == "ray" else {}  # Ray's workers would leave the run's directory
    if one_process(launch):
        return env
    env["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] = str(CHECKPOINT_SECONDS)
    if machine.is_cpu:
        return env | {"OMP_NUM_THREADS": str(max(machine.cores // launch.num_processes, 1))}
    return env | {"PYTORCH_ALLOC_CONF": "expandable_segments:True"}  # as Axolotl sets it for one process
