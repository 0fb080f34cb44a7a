"""Run by test_ray_training.py in the directory of a run: trains rendered/axolotl.yml by Axolotl's own Ray path, on a CPU.

Axolotl asks Ray for GPUs whatever the machine has: this alone is changed.
"""

import os
from typing import Any

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_CHDIR_TO_TRIAL_DIR": "0"}

import ray
import ray.train
from axolotl.cli.train import do_cli
from recipekit.runner.launch.plan import CONFIG

asked = ray.train.ScalingConfig


def on_a_cpu(**given: Any) -> ray.train.ScalingConfig:
    """What Axolotl asks for, without the GPU."""
    return asked(**{**given, "use_gpu": False, "resources_per_worker": {"CPU": 1}})


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=True)
    ray.train.ScalingConfig = on_a_cpu
    do_cli(CONFIG)
