"""What srun starts on each machine of a job: torchrun, told which machine this is and where the first one listens.

python -m recipekit.runner.launch.slurm_node TORCHRUN-ARGUMENTS...
"""

import os
import sys

FIRST_PORT, PORTS = 20000, 20000


def arguments(env: dict[str, str]) -> tuple[str, ...]:
    """torchrun's own arguments from srun's variables. Jobs that share a machine have other ports, as their numbers differ."""
    port = FIRST_PORT + int(env["SLURM_JOB_ID"]) % PORTS
    return ("--node_rank", env["SLURM_NODEID"], "--master_addr", env["SLURM_LAUNCH_NODE_IPADDR"], "--master_port", str(port))


if __name__ == "__main__":
    os.execv(sys.executable, [sys.executable, "-m", "torch.distributed.run", *arguments(dict(os.environ)), *sys.argv[1:]])
