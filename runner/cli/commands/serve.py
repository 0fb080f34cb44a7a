"""`recipe serve`: a model behind an OpenAI-compatible address."""

import os
from pathlib import Path

import click

from ....schemas.base.errors import UserError
from ...runtime.run_folder import RUNS


@click.command("serve")
@click.argument("model")
@click.option("--host", default="127.0.0.1", help="The address to listen on. Default: 127.0.0.1, this machine alone.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="The port; 0 takes a free one. Default: 8000.")
@click.option("--max-batch", type=click.IntRange(min=1), default=16, help="The most requests answered together. Default: 16.")
@click.option("--out", "root", type=click.Path(path_type=Path), default=RUNS, help="Where runs are kept. Default: runs/")
def command(model: str, host: str, port: int, max_batch: int, root: Path) -> None:
    """Serve MODEL: a run's directory, a recipe's name for its newest run, or anything that model.base_model takes.

    POST /v1/chat/completions (also streamed), GET /v1/models, GET /health. Set RECIPEKIT_API_KEY to ask callers for a key.
    """
    from ...models.reference import resolve_target

    loopback = host in ("127.0.0.1", "localhost", "::1")
    if not loopback and not os.environ.get("RECIPEKIT_API_KEY"):
        hint = "export RECIPEKIT_API_KEY=..., or keep to --host 127.0.0.1"
        raise UserError(f"{host} can be reached from other machines, and no key is asked for", hint=hint)
    target = resolve_target(model, root)
    from ...inference.server import bound, serve

    listener = bound(host, port)  # before the model is loaded: a port that is taken is told at once
    from ...worker.loading import load

    click.echo(f"model     {target.note}", err=True)
    served = load(target)
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"serving   http://{shown}:{listener.getsockname()[1]}/v1 (model {target.name})", err=True)
    serve(served, listener, max_batch, ("127.0.0.1", "localhost", "[::1]") if loopback else ("*",), "warning")
