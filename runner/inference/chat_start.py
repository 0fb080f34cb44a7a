"""Load the models of a chat, with messages on stderr."""

import click

from ...schemas.base.errors import UserError
from ...schemas.base.screen import Screen
from ..models.reference import ModelReference, base_of
from ..worker.loading import load, silence_libraries
from .chat_render import JsonRenderer, PlainRenderer, SideBySideRenderer
from .chat_session import Renderer, Session
from .chat_settings import Settings
from .chat_stream import ChatModel
from .classify import Classifier


def open_session(target: ModelReference, settings: Settings, with_base: bool, as_json: bool, is_terminal: bool) -> Session | Classifier:
    """Return the session with its models loaded. `is_terminal` says that replies are printed to a terminal.

    Raises UserError for a setting that has no effect on this model.
    """
    silence_libraries()
    click.echo(f"loading   {target.note}", err=True)
    if target.kind == "classification":
        if with_base:
            raise UserError("--with-base is not possible: a classifier's head is random before training")
        return Classifier(target, as_json)
    bases = [ChatModel("base", load(base_of(target)))] if with_base else []
    tuned = ChatModel("tuned" if target.run else target.name, load(target, chats=target.kind == "chat").merged())
    continues = target.kind == "text" or not tuned.served.tokenizer.chat_template
    if continues and settings.system:
        raise UserError(f"--system has no effect: {target.name} has no chat template and continues texts", hint="remove the option")
    return Session([*bases, tuned], settings, continues, _renderer(with_base, as_json, is_terminal))


def announce(target: ModelReference, settings: Settings, session: Session | Classifier) -> None:
    """Print to stderr how replies are generated."""
    if isinstance(session, Classifier):
        click.echo(f"labels    {', '.join(session.labels)}", err=True)
        click.echo(f"texts     {session.reads}", err=True)
        return
    if session.continues:
        click.echo("text      no chat template: each line is continued", err=True)
    if settings.system_note and not session.continues:
        click.echo(f"system    {settings.system or 'none'} ({settings.system_note})", err=True)
    click.echo(f"replies   {settings}", err=True)


def _renderer(with_base: bool, as_json: bool, is_terminal: bool) -> Renderer:
    if as_json:
        return JsonRenderer()
    if with_base and is_terminal:
        return SideBySideRenderer(Screen())
    return PlainRenderer(is_terminal)
