"""Run on several machines: the first writes its command to the shared run directory, and the others start the same."""

import time

from ...schemas.base.errors import Problem, UserError
from ...schemas.sections import Launch
from ..runtime.child_process import run_child
from ..runtime.console import Display
from ..runtime.run_files import LAUNCH_COMMAND, LaunchCommand
from ..runtime.run_folder import RunFolder
from .engines import of_node
from .plan import Plan

PATIENCE_SECONDS = 1800  # the first machine converts the data before it trains
_POLL_SECONDS = 0.5


def announce(run: RunFolder, launch: Launch, plan: Plan) -> None:
    """Write the command for the other machines, with the process that holds the run; called on the first machine before it starts."""
    if launch.num_nodes > 1 and "--node_rank" in plan.argv:
        run.write(LAUNCH_COMMAND, {"argv": list(plan.argv), "env": plan.env, "holder": _holder(run), "nodes": launch.num_nodes})


def join(run: RunFolder, node: int, display: Display) -> None:
    """Train as machine number `node` (from 1) until the first machine's training ends. Raises UserError as it does."""
    facts = _announced(run, display)
    if not 0 < node < facts["nodes"]:
        raise UserError(f"--node {node}: the run has {facts['nodes']} machines; use a number from 1 to {facts['nodes'] - 1}")
    argv = Plan({}, of_node(tuple(facts["argv"]), node), facts["env"]).executable()
    display.say("train", f"machine {node} of {facts['nodes']}, with {run.path}")
    run_child(argv, run.path, facts["env"], f"train.node{node}.log", f"machine {node}", display.event)
    display.say("done", "the first machine evaluates and writes the report")


def _announced(run: RunFolder, display: Display) -> LaunchCommand:
    """Return the command from the process that holds the run now, not from one that was killed."""
    display.say("join", f"waiting for the first machine to start training: recipe run or resume, {run.path}")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        facts = run.find(LAUNCH_COMMAND)
        if facts and facts["holder"] == _holder(run) and run.status.get("state") == "running":
            return facts
        time.sleep(_POLL_SECONDS)
    hint = "start `recipe run` on the first machine, in a folder that both can access"
    raise UserError(Problem(run.path, f"no training has started here within {PATIENCE_SECONDS // 60} minutes", hint, "no-leader"))


def _holder(run: RunFolder) -> str:
    path = run / "lock"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else ""
