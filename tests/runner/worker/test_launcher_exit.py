"""No trainer outlives the command that started it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from ...support.waiting import wait_until

HUNG = """
import signal
from recipekit.runner.worker import launcher_exit
launcher_exit.ORPHAN_SECONDS = launcher_exit._POLL_SECONDS = 0.05
launcher_exit.follow_launcher_exit()
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a step that hangs runs no handler
print("ready", flush=True)
while True:
    signal.pause()
"""
LAUNCHER = """
import subprocess, sys
trainer = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, start_new_session=True)
trainer.stdout.readline()
print(trainer.pid, flush=True)
sys.stdin.read()
"""


def has_ended(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_trainer_that_hangs_ends_after_its_command_was_killed() -> None:
    command = subprocess.Popen([sys.executable, "-c", LAUNCHER, HUNG], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert command.stdout and command.stdin
    trainer = int(command.stdout.readline())
    try:
        os.kill(trainer, signal.SIGTERM)
        assert not has_ended(trainer)
        command.kill()
        command.communicate()
        wait_until(lambda: has_ended(trainer))
    finally:
        if not has_ended(trainer):
            os.kill(trainer, signal.SIGKILL)
