"""What srun starts on each machine of a job: torchrun with this machine's number and the first one's address.

python -m recipekit.runner.launch.slurm_node TORCHRUN-ARGUMENTS...
"""

import os
import sys

FIRST_PORT, PORTS = 20000, 20000


def arguments(env: dict[str, str]) -> tuple[str, ...]:
    """Return torchrun's arguments from srun's variables. The port depends on the job's number, so that jobs can share a machine."""
    port = FIRST_PORT + int(env["SLURM_JOB_ID"]) % PORTS
    return ("--node_rank", env["SLURM_NODEID"], "--master_addr", env["SLURM_LAUNCH_NODE_IPADDR"], "--master_port", str(port))


if __name__ == "__main__":
    os.execv(sys.executable, [sys.executable, "-m", "torch.distributed.run", *arguments(dict(os.environ)), *sys.argv[1:]])
