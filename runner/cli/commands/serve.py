"""`recipe serve`: serve a model with an OpenAI-compatible API."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ....schemas.base.errors import UserError
from ....schemas.base.loopback import LOOPBACK, LOOPBACK_HOSTS
from .. import completion
from ..options import runs_dir_option

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from ...models.reference import ModelReference


@click.command("serve")
@click.argument("model", shell_complete=completion.runs)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port; 0 picks a free one.")
@click.option("--max-batch", type=click.IntRange(min=1), default=16, show_default=True, help="Maximum batch size.")
@click.option("--system", metavar="TEXT", help='System prompt for requests without one; "" for none. Default: the recipe\'s.')
@runs_dir_option
def command(model: str, host: str, port: int, max_batch: int, system: str | None, root: Path) -> None:
    """Serve MODEL: a run's directory, a recipe's name (its newest run), or anything that model.base_model accepts.

    POST /v1/chat/completions (also streamed), GET /v1/models, GET /health; for a classifier POST /classify, in the format of
    vLLM. Set RECIPEKIT_API_KEY to require a key.
    """
    from ...models.reference import require_weights_of, resolve_target

    loopback = host in LOOPBACK
    if not loopback and not os.environ.get("RECIPEKIT_API_KEY"):
        hint = "set RECIPEKIT_API_KEY, or use --host 127.0.0.1"
        raise UserError(f"{host} is reachable from other machines, and no API key is set", hint=hint)
    target = resolve_target(model, root)
    if system is not None and target.kind == "classification":
        raise UserError(f"--system has no effect: {target.name} is a classifier and generates nothing", hint="remove the option")
    require_weights_of(target)
    from ...inference.server import bound, serve

    with bound(host, port) as listener:  # before the model is loaded, so that a port in use fails at once
        app, route = _application(target, max_batch, LOOPBACK_HOSTS if loopback else ("*",), system)
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"serving   http://{shown}:{listener.getsockname()[1]}/{route} (model {target.name})", err=True)
        serve(app, listener)


def _application(target: "ModelReference", max_batch: int, hosts: tuple[str, ...], system: str | None) -> "tuple[Starlette, str]":
    """Load the model; return the application that answers with it, and its route."""
    from ...worker.loading import load, silence_libraries

    silence_libraries()
    click.echo(f"model     {target.note}", err=True)
    if target.kind == "classification":
        from ...inference.classify import Classifier
        from ...inference.classify_server import create_classify_app

        classifier = Classifier(target, as_json=True)
        click.echo(f"texts     {classifier.reads}", err=True)
        return create_classify_app(target.name, classifier, max_batch, hosts), "classify"
    from ...inference.chat_settings import system_of
    from ...inference.server import create_app

    prompt, note = system_of(target, system)
    app = create_app(load(target, chats=True).merged(), max_batch, hosts, prompt)
    if note:
        click.echo(f"system    {prompt or 'none'} ({note}; for requests without a system message)", err=True)
    return app, "v1"
