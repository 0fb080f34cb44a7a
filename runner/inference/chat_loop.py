"""Answer lines, typed or piped, each before the next is read."""

import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType
from typing import BinaryIO, NoReturn, Protocol

import click

from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.base.terminal import echo_styled, wrapped

PROMPT = "> "


class Answering(Protocol):
    """A chat partner; `help` names the commands besides text."""

    help: str

    def respond(self, line: str) -> None:
        """Show the reply to a line."""
        ...

    def reset(self) -> str:
        """Clear the conversation; return a confirmation."""
        ...

    def set_system(self, text: str) -> str:
        """Change the system prompt; return a confirmation."""
        ...


def answer_typed(session: Answering) -> None:
    """Answer typed lines until Ctrl-D or /quit. An error in a line is printed, and the next line is read."""
    echo_styled((wrapped(session.help, sys.stderr), {"dim": True}), err=True)
    signal.signal(signal.SIGTERM, _end)  # Ctrl-C stops only the reply
    for line in _typed():
        try:
            if _answer(session, line) == "quit":
                return
        except UserError as error:
            click.echo(str(error), err=True)
        except KeyboardInterrupt:
            echo_styled(("stopped", {"dim": True}), err=True)


def answer_piped(session: Answering, stream: BinaryIO) -> None:
    """Answer every line of the stream. Raises UserError with the line's number at the first that cannot be answered."""
    for number, raw in enumerate(stream, 1):
        if not raw.strip():
            click.echo(f"stdin:{number}: blank line, skipped", err=True)
            continue
        try:
            if _answer(session, raw.decode()) == "quit":
                return
        except UnicodeDecodeError:
            raise UserError(Problem(Location("stdin", number), "is not UTF-8", rule="encoding")) from None
        except UserError as error:
            raise UserError(*(problem.replaced(location=Location("stdin", number)) for problem in error.problems)) from None


def _answer(session: Answering, line: str) -> str:
    """Run a command, or reply to text. Blank lines are skipped."""
    text = line.strip()
    command, _, rest = text.partition(" ")
    if command == "/quit":
        return "quit"
    if command == "/reset":
        click.echo(session.reset(), err=True)
    elif command == "/help":
        click.echo(session.help, err=True)
    elif command == "/system":
        click.echo(session.set_system(rest.strip()), err=True)
    elif text:
        session.respond(text)
    return ""


def _typed() -> Iterator[str]:
    with suppress(ImportError):
        import readline  # noqa: F401 - gives input() a history and line editing
    is_shown = sys.stdout.isatty()
    while True:
        if not is_shown:  # only replies go to stdout
            click.echo(PROMPT, nl=False, err=True)
        try:
            yield input(PROMPT if is_shown else "")
        except EOFError:
            click.echo(err=True)
            return
        except KeyboardInterrupt:
            click.echo("\nCtrl-D to quit", err=True)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise click.Abort
