"""Run by test_ray_workers.py in a process of its own: `recipe convert --engine ray` on a cluster of two nodes, of which it kills parts.

python -m tests.support.ray_cluster ROWS OUT SITE: has a process of each node wait in its batch (held_process.py), kills the first, then the
whole second node, and lets the others go; then has a batch lose every process that takes it. Prints what it saw as JSON.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

from ray.cluster_utils import Cluster
from recipekit.converters.building import ray_workers
from recipekit.converters.building.conversion import Batch, Spec
from recipekit.schemas.base.errors import UserError

from .held_process import held, let_go
from .waiting import wait_until


def converting() -> list[int]:
    """The processes that have a batch now: Ray names them after what they do."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            name = path.read_bytes()
        except OSError:
            continue
        if name.startswith(b"ray::attempt"):
            found.append(int(path.parent.name))
    return found


def suicide(spec: Spec, batch: Batch) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def lost(address: str) -> str:
    """The error for a batch that ends the process that takes it."""
    ray_workers.attempt, ray_workers.TRIES = suicide, 1
    try:
        with ray_workers.RayWorkers(address=address) as workers:
            list(workers.convert(Spec("chat", "messages", {}), [Batch("a", 7, b"{}\n{}\n")]))
    except UserError as error:
        return str(error)
    return ""


def main(rows: str, out: str, site: str) -> None:
    os.environ |= held("converters.building.conversion", "convert_batch", "lambda *_: True", Path(site))  # of what Ray starts
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        print(json.dumps(seen(cluster, rows, out, Path(site))))
    finally:
        cluster.shutdown()


def seen(cluster: Cluster, rows: str, out: str, site: Path) -> dict[str, object]:
    """What became of the conversion."""
    second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    recipe = [sys.executable, "-m", "recipekit.runner"]
    options = ["--converter", "messages", rows, "--out", out, "--engine", "ray", "--validation", "0.1", "--max-dropped", "1", "--json"]
    conversion = subprocess.Popen(
        [*recipe, "convert", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "RAY_ADDRESS": str(cluster.address)},
    )
    killed, _ = wait_until(lambda: found if len(found := converting()) == 2 else None, conversion)
    os.kill(killed, signal.SIGKILL)
    cluster.remove_node(second, allow_graceful=False)
    before_the_end = conversion.poll() is None
    let_go(site)
    stdout, stderr = conversion.communicate()
    return {
        "killed": killed,
        "before_the_end": before_the_end,
        "node_gone": not second.any_processes_alive(),
        "code": conversion.returncode,
        "stdout": stdout.decode(),
        "stderr": stderr.decode(),
        "lost": lost(str(cluster.address)),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
