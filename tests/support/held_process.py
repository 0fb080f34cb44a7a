"""A process that waits at a known place until it is stopped, killed or let go: what it does there may take hundredths of a second, and a busy
test takes longer to notice."""

import json
import os
import subprocess
from pathlib import Path

from .waiting import wait_until

MARK, LET_GO = "waits", "let-go"

# Python imports it when it starts; of the processes that do, only those that import the module ever wait.
SITE = '''
import functools, importlib.util, json, os, sys, threading, time

MODULE, FUNCTION, CONDITION, MARK, LET_GO = json.loads(os.environ["HELD"])

class Holding:
    """Has a function, once it has done its work, wait for as long as the condition holds for its arguments."""

    def find_spec(self, name, path=None, target=None):
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def load_and_hold(module):
            load(module)
            *classes, last = FUNCTION.split(".")
            owner = functools.reduce(getattr, classes, module)
            work, holds = getattr(owner, last), eval(CONDITION, {"os": os})

            def work_and_wait(*arguments, **named):
                found = work(*arguments, **named)
                if holds(*arguments, **named):
                    with open(f"{MARK}.{os.getpid()}.{threading.get_ident()}", "w") as mark:  # each of its threads may come to wait
                        mark.write(str(os.getpid()))
                    os.replace(mark.name, MARK)
                while holds(*arguments, **named) and not os.path.exists(LET_GO):
                    time.sleep(0.02)
                return found

            setattr(owner, last, work_and_wait)

        spec.loader.exec_module = load_and_hold
        return spec

sys.meta_path.insert(0, Holding())
'''


def held(module: str, function: str, condition: str, folder: Path) -> dict[str, str]:
    """What is in the environment of a command whose processes wait after this function of a module of `recipekit`, as long as the condition,
    the text of a function of the same arguments, is true, and nothing lets them go. They say that they wait by a file with their number."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(SITE)
    (folder / MARK).unlink(missing_ok=True)
    paths = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    place = [f"recipekit.{module}", function, condition, str(folder / MARK), str(folder / LET_GO)]
    return {"PYTHONPATH": paths, "HELD": json.dumps(place)}


def held_at(step: int, folder: Path, rank: str = "") -> dict[str, str]:
    """The same for a trainer, after the line of a step: each of its processes, or the one of this rank. A signal to stop lets it go."""
    condition = f"state.global_step == {step} and {rank!r} in ('', os.environ.get('RANK')) and not callback.signalled"
    return held("runner.worker.callback", "RunCallback.on_log", f"lambda callback, args, state, *_, **__: {condition}", folder)


def held_after_lines(count: int, folder: Path) -> dict[str, str]:
    """The same for what appends predictions, once the file has so many lines: until it is killed."""
    condition = f"lambda path, lines: path.read_bytes().count(b'\\n') >= {count}"
    return held("runner.runtime.line_sums", "append_lines", condition, folder)


def wait_for_held(folder: Path, process: subprocess.Popen) -> int:
    """The number of a process that waits: the command, or one that it has started."""
    return int(wait_until(lambda: (folder / MARK).exists() and (folder / MARK).read_text(), process))


def let_go(folder: Path) -> None:
    """Nothing waits there any more."""
    (folder / LET_GO).touch()
