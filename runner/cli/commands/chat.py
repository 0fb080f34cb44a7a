"""`recipe chat`: talk with a model."""

import sys
from pathlib import Path

import click

from ...runtime.run_folder import RUNS


@click.command("chat")
@click.argument("model")
@click.option("--system", metavar="TEXT", help='The system prompt. Default: the one that the recipe trained with; "" is none.')
@click.option("--beside-base", is_flag=True, help="Show the base model's reply to the same conversation beside the tuned model's.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="0 takes the likeliest token. Default: the recipe's, else 0.")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Sample from the likeliest of this share. Default: the recipe's.")
@click.option("--repetition-penalty", type=click.FloatRange(0, 2, min_open=True), help="Above 1: repeat less. Default: 1.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="The longest reply. Default: the recipe's, else 256.")
@click.option("--seed", type=click.IntRange(0), help="The same replies again. Default: another seed for each.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a reply, with its tokens counted.")
@click.option("--out", "root", type=click.Path(path_type=Path), default=RUNS, help="Where runs are kept. Default: runs/")
def command(model: str, beside_base: bool, as_json: bool, root: Path, **given: object) -> None:
    """Talk with MODEL: a run's directory, a recipe's name for its newest run, or anything that model.base_model takes.

    Without a terminal, every line of the input is answered: echo hi | recipe chat RUN. A classifier gives each line its label; a model
    without a chat template goes on with it. With --beside-base the conversation goes on with the tuned model's replies.
    """
    from ...inference.chat_settings import settings_of
    from ...models.reference import base_of, resolve_target

    target = resolve_target(model, root)
    settings = settings_of(target, given)
    if beside_base:
        base_of(target)  # before anything is loaded
    from ...inference.chat_loop import answer_piped, answer_typed
    from ...inference.chat_start import announce, opened

    is_typed = sys.stdin.isatty()
    session = opened(target, settings, beside_base, as_json, is_typed and sys.stdout.isatty())
    announce(target, settings, session)
    try:
        if is_typed:
            answer_typed(session)
        else:
            answer_piped(session, sys.stdin.buffer)
    finally:
        session.stop()
