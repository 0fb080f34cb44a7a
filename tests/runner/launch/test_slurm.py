"""The job's script, by shellcheck and by a real Slurm of one machine where one is installed."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys

import pytest
from recipekit.runner.launch.slurm import SCRIPT, must_submit, script, submit
from recipekit.runner.launch.slurm_node import arguments
from recipekit.runner.runtime.console import Display
from recipekit.runner.runtime.run_files import SLURM_JOB
from recipekit.runner.runtime.run_folder import create
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Recipe

from ...support.waiting import PATIENCE, wait_until

CONF = """ClusterName=test
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldPort={port}
SlurmdPort={next_port}
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs=1 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES State=UP
"""


@pytest.fixture
def job(minimal):
    def build(**launch):
        return Recipe.from_values(minimal({"launch": {"engine": "slurm", **launch}}))

    return build


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A Slurm of one machine: its real daemons, in a folder of their own."""
    programs = ("munged", "slurmctld", "slurmd", "sbatch")
    if os.geteuid() or not all(map(shutil.which, programs)):
        pytest.skip("a Slurm of one machine needs root and the packages slurm-wlm and munge")
    folder = tmp_path_factory.mktemp("slurm")
    host = socket.gethostname().partition(".")[0]
    port = 20_000 + os.getpid() % 5_000 * 2  # below those that the system gives to whoever asks for any
    (folder / "state").mkdir()
    (folder / "slurm.conf").write_text(CONF.format(host=host, folder=folder, port=port, next_port=port + 1))
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "munge.key").chmod(0o400)
    env = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    munge = [f"--{name}={folder}/munge.{ending}" for name, ending in
             (("key-file", "key"), ("socket", "sock"), ("pid-file", "pid"), ("log-file", "log"), ("seed-file", "seed"))]  # fmt: skip

    def said(*argv: str) -> str:
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False).stdout

    daemons = [  # each needs the one before, and when it is ready
        (["munged", "--foreground", "--force", *munge], (folder / "munge.sock").exists),
        (["slurmctld", "-D"], lambda: " is UP" in said("scontrol", "ping")),
        (["slurmd", "-D", "-N", host], lambda: "idle" in said("sinfo", "-h", "-o", "%t")),
    ]
    with (folder / "log").open("w") as log:
        running = []
        try:
            for argv, is_ready in daemons:
                running.append(subprocess.Popen(argv, env=env, stdout=log, stderr=log))
                wait_until(is_ready, running[-1])
            yield env["SLURM_CONF"]
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait(PATIENCE)


def test_the_script_requests_nodes_and_resumes_the_run(job):
    text = script(job(num_nodes=2, num_processes=8, sbatch={"partition": "gpu", "time": "24:00:00", "gpus-per-node": 8}))
    assert text.startswith("#!/bin/bash\n#SBATCH --job-name=recipe-small\n#SBATCH --nodes=2\n#SBATCH --ntasks-per-node=1\n")
    assert "#SBATCH --partition=gpu\n#SBATCH --time=24:00:00\n#SBATCH --gpus-per-node=8\n" in text
    assert "#SBATCH --signal=B:TERM@300\n" in text
    assert text.endswith("resume . --runs-dir ../..\n")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_accepts_the_script(job, tmp_path):
    path = tmp_path / "job.sh"
    path.write_text(script(job(num_nodes=2, sbatch={"partition": "gpu"})))
    done = subprocess.run(["shellcheck", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_slurm_itself_accepts_the_script(job, tmp_path, cluster):
    path = tmp_path / "job.sh"
    path.write_text(script(job(sbatch={"time": "10:00"})))
    env = {**os.environ, "SLURM_CONF": cluster}
    done = subprocess.run(["sbatch", "--test-only", path], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0 and "to start at" in done.stderr, done.stderr


def test_a_job_runs_and_its_number_is_noted(job, tmp_path, cluster, monkeypatch):
    """In the place of our interpreter stands a script that tells how it was called."""
    monkeypatch.setenv("SLURM_CONF", cluster)
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$SLURM_JOB_ID $2 $3 $4 $5 $6" > called\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    run = create("small", "abcdef", tmp_path / "runs")
    submit(run, job(), Display())
    assert run.status["state"] == "submitted"
    number = str(run.read(SLURM_JOB)["job"])
    called = run / "called"
    assert wait_until(lambda: called.exists() and called.read_text().split()) == [
        number,
        *"recipekit.runner resume . --runs-dir ../..".split(),
    ]


def test_slurms_refusal_is_reported_in_its_own_words(job, tmp_path, cluster, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", cluster)
    run = create("small", "abcdef", tmp_path)
    with pytest.raises(UserError, match="sbatch failed: .*invalid partition"):
        submit(run, job(sbatch={"partition": "nowhere"}), Display())
    assert run.status["state"] == "failed"


def test_without_sbatch_the_hint_names_a_login_node(job, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    run = create("small", "abcdef", tmp_path)
    with pytest.raises(UserError) as refused:
        submit(run, job(), Display())
    assert "needs sbatch" in str(refused.value) and f"sbatch {SCRIPT}" in refused.value.problems[0].hint


def test_a_run_whose_job_has_ended_is_submitted_again(tmp_path, cluster, monkeypatch, command_line):
    monkeypatch.setenv("SLURM_CONF", cluster)
    monkeypatch.setenv("RECIPEKIT_DEVICE", "cpu")
    monkeypatch.setattr(sys, "executable", shutil.which("true"))
    run = create("small", "abcdef", tmp_path)
    text = "recipe: 1\nname: small\nmodel: {base_model: a/b}\ndata: {type: chat, sources: [{path: rows.jsonl, converter: messages}]}\n"
    (run / "recipe.yml").write_text(f"{text}training: {{adapter: lora, learning_rate: 1e-4}}\nlaunch: {{engine: slurm}}\n")
    (run / "rows.jsonl").write_text("{}\n")
    run.update(state="interrupted", stages={}, recipe="small")
    outcome = command_line("resume", str(run.path))
    assert outcome.code == 0, outcome.err
    assert "squeue --job" in outcome.err
    assert run.status["state"] == "submitted" and run.read(SLURM_JOB)["job"] > 0


def test_inside_a_job_nothing_is_submitted(job, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert must_submit(job())
    assert not must_submit(job()._replace(launch=job().launch._replace(engine="torchrun")))
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert not must_submit(job())


def test_machines_meet_at_the_first_on_a_port_of_the_job():
    env = {"SLURM_JOB_ID": "41", "SLURM_NODEID": "1", "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.1"}
    assert arguments(env) == ("--node_rank", "1", "--master_addr", "10.0.0.1", "--master_port", "20041")
    assert arguments(env | {"SLURM_JOB_ID": "42"})[-1] == "20042"


@pytest.mark.parametrize("value", ["a b", "x;\ny", "$(touch canary)", "`id`", "'", '"'])
def test_an_ambiguous_option_is_refused(minimal, value, recipe_file, command_line):
    path = recipe_file(json.dumps(minimal({"launch": {"engine": "slurm", "sbatch": {"partition": value}}})))
    outcome = command_line("check", str(path))
    assert outcome.code == 1 and "launch.sbatch" in outcome.err
