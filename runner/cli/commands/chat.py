"""`recipe chat`: chat with a model."""

import sys
from pathlib import Path

import click

from ..options import runs_dir_option


@click.command("chat")
@click.argument("model")
@click.option("--system", metavar="TEXT", help='System prompt; "" for none. Default: the one used in training.')
@click.option("--beside-base", is_flag=True, help="Also show the base model's reply.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="Sampling temperature; 0 is greedy. Default: the recipe's, else 0.")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Nucleus sampling. Default: the recipe's.")
@click.option("--repetition-penalty", type=click.FloatRange(0, 2, min_open=True), help="Repetition penalty. Default: 1.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Maximum reply length. Default: the recipe's, else 256.")
@click.option("--seed", type=click.IntRange(0), help="Seed, for repeatable replies. Default: random.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per reply, with token counts.")
@runs_dir_option
def command(model: str, beside_base: bool, as_json: bool, root: Path, **given: object) -> None:
    """Chat with MODEL: a run's directory, a recipe's name (its newest run), or any value of model.base_model.

    Without a terminal, each line of the input is answered: echo hi | recipe chat RUN. A classifier prints a label for each line; a model
    without a chat template continues each line as plain text. With --beside-base the tuned model's replies are the conversation's history.
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
