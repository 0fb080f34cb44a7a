"""No trainer outlives the command that started it."""

import os
import signal
import subprocess
import sys

from ...support.waiting import is_running, wait_until

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


def test_a_trainer_that_hangs_ends_after_its_command_was_killed() -> None:
    command = subprocess.Popen([sys.executable, "-c", LAUNCHER, HUNG], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert command.stdout and command.stdin
    trainer = int(command.stdout.readline())
    try:
        os.kill(trainer, signal.SIGTERM)
        assert is_running(trainer)
        command.kill()
        command.communicate()
        wait_until(lambda: not is_running(trainer))
    finally:
        if is_running(trainer):
            os.kill(trainer, signal.SIGKILL)


FORKS = """
import os, signal
from recipekit.runner.worker.launcher_exit import follow_launcher_exit
follow_launcher_exit()
child = os.fork()
if child == 0:
    while True:
        signal.pause()
print(child, flush=True)
signal.pause()
"""


def test_what_a_trainer_has_forked_ends_with_it() -> None:
    """A process of a pool waits in its queue's lock for ever, and would keep the lock of the run."""
    trainer = subprocess.Popen([sys.executable, "-c", FORKS], stdout=subprocess.PIPE)
    assert trainer.stdout
    forked = int(trainer.stdout.readline())
    assert is_running(forked)
    trainer.kill()
    trainer.communicate()
    wait_until(lambda: not is_running(forked))
