"""Loading what is talked with, told on stderr."""

import logging
from typing import Any

import click

from ...schemas.base.errors import UserError
from ...schemas.base.screen import Screen
from ..models.reference import ModelReference, base_of
from ..worker.loading import load
from .chat_render import BesideRenderer, JsonRenderer, PlainRenderer
from .chat_session import Renderer, Session
from .chat_settings import Settings
from .chat_stream import ChatModel
from .classify import Classifier


def opened(target: ModelReference, settings: Settings, beside_base: bool, as_json: bool, is_terminal: bool) -> Session | Classifier:
    """The session, its models loaded. `is_terminal` says that a person reads the replies where they are printed.

    Raises UserError for a setting that has no effect on this model.
    """
    _quiet()
    click.echo(f"loading   {target.note}", err=True)
    if target.kind == "classification":
        if beside_base:
            raise UserError("--beside-base has no effect: before it is trained, the head of a classifier is random numbers")
        return Classifier(target, as_json)
    bases = [ChatModel("base", load(base_of(target)))] if beside_base else []
    tuned = ChatModel("tuned" if target.run else target.name, load(target, chats=target.kind == "chat").merged())
    continues = target.kind == "text" or not tuned.served.tokenizer.chat_template
    if continues and settings.system:
        raise UserError(f"--system has no effect: {target.name} has no chat template, it goes on with a text", hint="leave it away")
    return Session([*bases, tuned], settings, continues, _screen(beside_base, as_json, is_terminal))


def announce(target: ModelReference, settings: Settings, session: Any) -> None:
    """How it is talked with, on stderr."""
    if isinstance(session, Classifier):
        click.echo(f"labels    {', '.join(session.labels)}", err=True)
        return
    if session.continues:
        click.echo("text      no chat: each line is gone on with", err=True)
    if settings.system:
        click.echo(f"system    {settings.system} ({settings.system_note})", err=True)
    click.echo(f"replies   {settings}", err=True)


def _quiet() -> None:
    """Silence packages that warn of kernels that a CPU lacks, and of a head that the adapter is about to fill."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for name in ("torchao", "torch.utils._pytree", "bitsandbytes"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _screen(beside_base: bool, as_json: bool, is_terminal: bool) -> Renderer:
    if as_json:
        return JsonRenderer()
    if beside_base and is_terminal:
        return BesideRenderer(Screen())
    return PlainRenderer(is_terminal)
