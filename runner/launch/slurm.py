"""Slurm: the job's script, and its submission. The job runs `recipe resume` on its first machine, and srun starts torchrun on each.

The configuration is thus rendered on the machine that trains, not on the one that submits, and evaluation runs where the GPUs are.
"""

import os
import re
import shutil
import subprocess
import sys

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import write_atomically
from ...schemas.sections import Recipe
from ..runtime.console import Display
from ..runtime.run_files import SLURM_JOB
from ..runtime.run_folder import RunFolder

SCRIPT = "rendered/job.sh"
# Seconds before the job's time limit at which it writes a checkpoint, so that another job can resume it.
NOTICE_SECONDS = 300
_JOB = re.compile(r"^(\d+)(;\S*)?$", re.MULTILINE)


def script(recipe: Recipe) -> str:
    """Return the text for sbatch, to run in the run's directory. The schema allows no spaces or quotes in option values."""
    launch = recipe.launch
    options = {
        "job-name": f"recipe-{recipe.name}", "nodes": launch.num_nodes, "ntasks-per-node": 1, "output": "slurm-%j.log",
        "signal": f"B:TERM@{NOTICE_SECONDS}", **launch.sbatch,
    }  # fmt: skip
    lines = [f"#SBATCH --{name}={value}" for name, value in options.items()]
    resume = 'exec "${RECIPEKIT_PYTHON:-python}" -m recipekit.runner resume . --runs-dir ../..'
    return "\n".join(["#!/bin/bash", *lines, "set -euo pipefail", resume, ""])


def must_submit(recipe: Recipe) -> bool:
    """Return whether the recipe needs a job and this is not one."""
    return recipe.launch.engine == "slurm" and "SLURM_JOB_ID" not in os.environ


def submit(run: RunFolder, recipe: Recipe, display: Display) -> None:
    """Submit the run with sbatch and record the job's number in slurm.json. Raises UserError with sbatch's message."""
    write_atomically(run / SCRIPT, script(recipe).encode())
    run.update(state="submitted", reason="in Slurm's queue")  # before the job sets it to running
    try:
        job = _submitted(run)
    except UserError as error:
        run.update(state="failed", reason=str(error))
        raise
    run.write(SLURM_JOB, {"job": int(job)})
    display.say("slurm", f"job {job} will run it: squeue --job {job}; recipe runs {recipe.name}; its log is {run / f'slurm-{job}.log'}")


def _submitted(run: RunFolder) -> str:
    if not shutil.which("sbatch"):
        hint = f"run this on a login node of the cluster, or in {run.path} there: sbatch {SCRIPT}"
        raise UserError(Problem("", "engine: slurm needs sbatch, which is not installed", hint, "no-slurm"))
    env = {**os.environ, "RECIPEKIT_PYTHON": sys.executable}
    done = subprocess.run(["sbatch", "--parsable", SCRIPT], cwd=run.path, env=env, capture_output=True, text=True, check=False)
    job = _JOB.search(done.stdout)
    if done.returncode or not job:
        raise UserError(Problem(run / SCRIPT, f"sbatch failed: {done.stderr.strip()}", "check launch.sbatch", "sbatch"))
    return job[1]
