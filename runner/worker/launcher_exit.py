"""End a trainer whose launcher has ended, and what a trainer has forked: an orphan would hold its GPU, and the run's lock, for ever."""

import ctypes
import os
import signal
import sys
import threading
import time

ORPHAN_SECONDS = 900  # to finish a step and write a checkpoint after SIGTERM, which the end of the launcher sends
_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 1.0


def follow_launcher_exit() -> None:
    """Under torchrun, exit when it is killed, and keep its signals from data loader processes. Otherwise, exit some time after the command
    that started this process was killed, even if a step hangs. Forks of this process (tokenizing, data loaders) end with it.

    torchrun gives each process a session and signals all of it. A loader that gets SIGTERM dies, and the current step with it.
    """
    forking = [0]  # the process that forks
    os.register_at_fork(before=lambda: forking.__setitem__(0, os.getpid()), after_in_child=lambda: _end_with_parent(forking[0]))
    if "TORCHELASTIC_RUN_ID" in os.environ:
        _end_with_parent(os.getppid())
        os.register_at_fork(after_in_child=os.setpgrp)
    else:
        threading.Thread(target=_end_orphan, args=(os.getppid(),), daemon=True).start()


def _end_with_parent(parent: int) -> None:
    """Have this process killed when its parent ends. A pool's process waits for its queue even if nobody is left who could fill it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the call
        os.kill(os.getpid(), signal.SIGKILL)


def _end_orphan(launcher: int) -> None:
    """Kill this process and its data loaders when the launcher has been gone for ORPHAN_SECONDS.

    A thread, because Python runs no signal handler while the main thread waits for a GPU.
    """
    while os.getppid() == launcher:
        time.sleep(_POLL_SECONDS)
    time.sleep(ORPHAN_SECONDS)
    os.killpg(os.getpgrp(), signal.SIGKILL)
