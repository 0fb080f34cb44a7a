"""The environment of processes that hold a model: the user's, without what would change a training behind its recipe."""

import os
import subprocess
import sys
from collections.abc import Mapping

from ...schemas.base.redact import redact

# Set by another launcher around this one (torchrun, accelerate, mpirun, a notebook in a job): its ranks are not ours. accelerate also reads
# its settings there: ACCELERATE_MIXED_PRECISION=bf16 would train a recipe of fp32 in bf16.
NAMES = frozenset(
    ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "GROUP_WORLD_SIZE", "ROLE_RANK", "ROLE_NAME",
     "ROLE_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "FORK_LAUNCHED", "SMDATAPARALLEL_LOCAL_RANK", "NVIDIA_TF32_OVERRIDE",
     "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "PYTHONOPTIMIZE")  # transformers builds docstrings from those that -OO removes
)  # fmt: skip
PREFIXES = (
    "ACCELERATE_", "AXOLOTL_", "FSDP_", "MEGATRON_LM_", "MV2_COMM_WORLD_", "OMPI_COMM_WORLD_", "PARALLELISM_CONFIG_", "PMI_",
    "TORCHELASTIC_",
)  # fmt: skip
# In the name of a variable on Google Colab. Axolotl then asks for the name of the GPU, and stops on a machine without one.
COLAB = "COLAB_"

# For processes that use a model on behalf of this one.
WITH_MODEL = {"PYTHONSAFEPATH": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_WAIT_POLICY": "PASSIVE"}


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for a child process: those of this one that do not change a training, and the changes."""
    return {name: value for name, value in os.environ.items() if not changes_a_training(name)} | dict(changes)


def failure_of(*arguments: str) -> str:
    """Run Python with these arguments, without a GPU; return the last line of its errors, "" if it succeeded."""
    environment = child_environment({"PYTHONSAFEPATH": "1", "CUDA_VISIBLE_DEVICES": ""})
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment)
    return (redact(done.stderr).strip().splitlines() or ["no reason given"])[-1] if done.returncode else ""


def changes_a_training(name: str) -> bool:
    """Return whether the training packages read a setting, a rank or a place from the variable."""
    return name in NAMES or name.startswith(PREFIXES) or COLAB in name
