"""Build the command that starts the training's processes, and their environment, from the launch section. Pure."""

from ...schemas.base.counted import counted
from ...schemas.sections import Launch
from ..runtime.machine import Machine

# Seconds that a checkpoint may take after Ctrl-C before torchrun kills the processes; the default is 30.
CHECKPOINT_SECONDS = 900

HOSTFILE = "rendered/hostfile"


def command(launch: Launch, config: str) -> tuple[str, ...]:
    """Return the command: Axolotl starts one process itself, torchrun several, as Axolotl would. `config` is the file to train."""
    if one_process(launch) or launch.engine == "ray":  # Axolotl reads use_ray from its file
        return ("python", "-m", "axolotl.cli.main", "train", config, "--launcher", "python")
    processes, trainer = ("--nproc_per_node", str(launch.num_processes)), ("-m", "axolotl.cli.train", config)
    if launch.engine == "slurm":
        once_on_each = ("srun", "--ntasks-per-node=1", "--kill-on-bad-exit=1", "python", "-m", "recipekit.runner.launch.slurm_node")
        return (*once_on_each, *processes, "--nnodes", str(launch.num_nodes), *trainer)
    if launch.hosts:
        over_hosts = ("python", "-m", "deepspeed.launcher.runner", "--hostfile", HOSTFILE, "--no_local_rank")
        return (*over_hosts, "--module", "axolotl.cli.train", config)
    meeting: tuple[str, ...] = ("--standalone",)
    if launch.num_nodes > 1:
        # Ranks by the machine's number: with c10d they depend on who connects first, and rows would be distributed differently.
        host, _, port = (launch.main_address or "").rpartition(":")
        meeting = ("--nnodes", str(launch.num_nodes), "--node_rank", "0", f"--master_addr={host}", f"--master_port={port}")
    # Not `axolotl --launcher torchrun`: that finds torchrun on the PATH, which may belong to another environment.
    return ("python", "-m", "torch.distributed.run", *processes, *meeting, *trainer)


def unstartable(launch: Launch, machine: Machine) -> list[tuple[str, str, str]]:
    """Return (key of launch, what is wrong, hint) for what this machine cannot start."""
    found = []
    if machine.is_cpu:
        for key, wanted, why in (
            ("zero_stage", launch.zero_stage, "DeepSpeed trains under Axolotl on GPUs only"),
            ("fsdp", launch.fsdp, "FSDP2 trains under Axolotl on GPUs only"),
            ("engine", launch.engine == "ray", "Axolotl asks Ray for GPUs"),
        ):
            if wanted:
                found.append((key, f"{why}, and this machine has none", "use engine: torchrun for several processes on a CPU"))
    elif launch.num_processes > machine.gpus:
        what = f"{launch.num_processes} processes, but this machine has {counted(machine.gpus, 'GPU')}"
        found.append(("num_processes", what, "start one process per GPU"))
    return found


def hostfile(launch: Launch) -> str:
    """Return DeepSpeed's hostfile: each machine with its number of processes."""
    return "".join(f"{host} slots={launch.num_processes}\n" for host in launch.hosts)


def of_node(argv: tuple[str, ...], node: int) -> tuple[str, ...]:
    """Return the first machine's command for machine number `node`."""
    at = argv.index("--node_rank") + 1
    return (*argv[:at], str(node), *argv[at + 1 :])


def one_process(launch: Launch) -> bool:
    """Return whether a single process trains; sharding needs a process group even then."""
    return launch.processes == 1 and not launch.is_sharded


def processes_environment(launch: Launch, machine: Machine) -> dict[str, str]:
    """Return the environment for several processes, or for one of Ray's; by default torchrun gives each process one thread."""
    env = {"RAY_CHDIR_TO_TRIAL_DIR": "0"} if launch.engine == "ray" else {}  # Ray's workers would leave the run's directory
    if one_process(launch):
        return env
    env["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] = str(CHECKPOINT_SECONDS)
    if machine.is_cpu:
        return env | {"OMP_NUM_THREADS": str(max(machine.cores // launch.num_processes, 1))}
    return env | {"PYTORCH_ALLOC_CONF": "expandable_segments:True"}  # as Axolotl sets it for one process
