"""A training that waits after a step until it is stopped or killed: a step takes hundredths of a second, and a busy test may take longer."""

import os
from pathlib import Path

# Python imports it when it starts; of the processes that do, only those that train import the callback.
SITE = '''
import importlib.util, os, sys, time

class Holding:
    """Has the callback wait after the line of a step, until a signal has asked it to stop."""

    def find_spec(self, name, path=None, target=None):
        if name != "recipekit.runner.worker.callback":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def load_and_hold(module):
            load(module)
            log = module.RunCallback.on_log

            def log_and_wait(callback, args, state, *others, **named):
                log(callback, args, state, *others, **named)
                while state.global_step == int(os.environ["HELD_AT"]) and not callback.signalled:
                    time.sleep(0.02)

            module.RunCallback.on_log = log_and_wait

        spec.loader.exec_module = load_and_hold
        return spec

if os.environ["HELD_RANK"] in ("", os.environ.get("RANK")):
    sys.meta_path.insert(0, Holding())
'''


def held_at(step: int, folder: Path, rank: str = "") -> dict[str, str]:
    """What is in the environment of a command whose trainer waits after the step: each of its processes, or the one of this rank."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(SITE)
    paths = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": paths, "HELD_AT": str(step), "HELD_RANK": rank}
