"""`recipe chat`: chat with a model."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ....schemas.base.errors import UserError
from .. import completion
from ..options import runs_dir_option

if TYPE_CHECKING:
    from ...inference.chat_settings import Settings
    from ...models.reference import ModelReference


@click.command("chat")
@click.argument("model", shell_complete=completion.runs)
@click.option("--system", metavar="TEXT", help='System prompt; "" for none. Default: data.system_prompt of the recipe.')
@click.option("--with-base/--no-base", default=None, help="Also show the base model's reply. Default: with --web, if there is a base.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="Sampling temperature; 0 is greedy. Default: the recipe's, or 0.")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Nucleus sampling. Default: the recipe's.")
@click.option("--repetition-penalty", type=click.FloatRange(0, 2, min_open=True), help="Repetition penalty. Default: 1.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Maximum reply length. Default: the recipe's, else 256.")
@click.option("--seed", type=click.IntRange(0), help="Seed, for repeatable replies. Default: random.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per reply, with token counts.")
@click.option("--web", is_flag=True, help="Serve a page for the browser, on this machine only. Needs gradio.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of --web; 0 picks a free one. Default: 7860.")
@runs_dir_option
def command(model: str, with_base: bool | None, as_json: bool, web: bool, port: int | None, root: Path, **given: object) -> None:
    """Chat with MODEL: a run's directory, a recipe's name (its newest run), or anything that model.base_model accepts.

    Without a terminal, each line of the input gets a reply: echo hi | recipe chat RUN. A classifier prints a label for each line; a model
    without a chat template continues each line as plain text. With --with-base the tuned model's replies are the conversation's history.
    With --web the same is a page for the browser.
    """
    if port is not None and not web:
        raise click.UsageError("--port has no effect without --web")
    if web and as_json:
        raise click.UsageError("--json has no effect with --web")
    from ...inference.chat_settings import settings_of
    from ...models.reference import base_of, require_weights_of, resolve_target

    if web:
        _require_gradio()
    target = resolve_target(model, root)
    settings = settings_of(target, given)
    if with_base is None:
        with_base = web and bool(target.run) and target.kind != "classification"
    if with_base:
        require_weights_of(base_of(target))  # before anything is loaded
    require_weights_of(target)
    if web:
        return _serve_page(target, settings, with_base, 7860 if port is None else port)
    from ...inference.chat_loop import answer_piped, answer_typed
    from ...inference.chat_start import announce, open_session

    is_typed = sys.stdin.isatty()
    session = open_session(target, settings, with_base, as_json, is_typed and sys.stdout.isatty())
    announce(target, settings, session)
    try:
        if is_typed:
            answer_typed(session)
        else:
            answer_piped(session, sys.stdin.buffer)
    finally:
        session.stop()


def _require_gradio() -> None:
    if find_spec("gradio") is None:
        raise UserError("--web needs a package that is not installed: gradio", hint="pip install 'recipekit[serve]'")


def _serve_page(target: "ModelReference", settings: "Settings", with_base: bool, port: int) -> None:
    from ...inference.server import bound, serve

    listener = bound("127.0.0.1", port)  # before the model is loaded, so that a port in use fails at once
    from ...inference.chat_start import announce, open_session
    from ...inference.classify import Classifier
    from ...inference.web_page import ChatPage, ClassifierPage
    from ...inference.web_server import create_web_app

    session = open_session(target, settings, with_base, as_json=False, is_terminal=False)
    announce(target, settings, session)
    page = ClassifierPage(session, target.name) if isinstance(session, Classifier) else ChatPage(session, target.name)
    app = create_web_app(page.build())
    click.echo(f"web       http://127.0.0.1:{listener.getsockname()[1]} (Ctrl-C to stop)", err=True)
    try:
        serve(app, listener)
    finally:
        session.stop()
