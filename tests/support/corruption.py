"""Damages to a file of a run, and every command that can be given a run.

The commands are those of the command line itself, each with the run as every argument that it takes: a new one is among them.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from recipekit.runner.cli.main import cli

Damage = Callable[[Path], None]


def rewritten(change: Callable[[bytes], bytes]) -> Damage:
    """A damage to what the file holds."""
    return lambda path: void(path.write_bytes(change(path.read_bytes())))


def replaced(make: Callable[[Path], object]) -> Damage:
    """Something else under the file's name."""

    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


def void(_: object) -> None:
    """Nothing."""


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :] if content else b"\x10"


def first_number(value: bytes) -> Damage:
    """Another first number: what JSON does not have, or no floating-point number can be."""
    return rewritten(lambda content: re.sub(rb"(?<=[\[ :])-?\d+(\.\d+)?(?=[,\s}\]])", value, content, count=1))


def swap(path: Path) -> None:
    """Exchange it with the next file of the same kind: each is whole, and in the wrong place."""
    run = next(folder for folder in path.parents if (folder / "status.json").exists())
    alike = sorted(file for file in run.rglob(f"*{path.suffix}") if file.is_file())
    other = alike[(alike.index(path) + 1) % len(alike)]
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


DAMAGES: dict[str, Damage] = {
    "empty": rewritten(lambda content: b""),
    "cut": rewritten(lambda content: content[: len(content) // 2]),
    "a flipped bit": rewritten(lambda content: flipped(content, len(content) // 3)),
    "not UTF-8": rewritten(lambda content: content[: len(content) // 3] + b"\xff\xfe\x00" + content[len(content) // 3 :]),
    "a list": rewritten(lambda content: b"[1]\n"),
    "an object": rewritten(lambda content: b'{"x": {}}\n'),
    "a number": rewritten(lambda content: b"3\n"),
    "nested": rewritten(lambda content: b"[" * 100_000),
    "lines missing": rewritten(lambda content: b"".join(content.splitlines(keepends=True)[1::2])),
    "a line twice": rewritten(lambda content: b"".join(content.splitlines(keepends=True)[:1]) + content),
    "NaN": first_number(b"NaN"),
    "1e999": first_number(b"1e999"),
    "a byte order mark": rewritten(lambda content: b"\xef\xbb\xbf" + content),
    "CRLF": rewritten(lambda content: content.replace(b"\n", b"\r\n")),
    "swapped with another": swap,
    "missing": replaced(lambda path: None),
    "a folder": replaced(lambda path: path.mkdir()),
    "a pipe": replaced(lambda path: os.mkfifo(path)),
    "a link to nothing": replaced(lambda path: path.symlink_to("nothing")),
    "a link to itself": replaced(lambda path: path.symlink_to(path.name)),
    "an unreadable file": replaced(lambda path: path.symlink_to("/proc/self/mem")),  # EIO, also for root
}
# What a command needs besides the run. A command that is not named gets the run as each of its arguments.
ARGUMENTS = {
    "compare": ["RUN", "OTHER"], "export": ["RUN", "--out", "OUT/x.gguf"], "merge": ["RUN", "--out", "OUT/merged"],
    "push": ["RUN", "me/tiny", "--dry-run"], "predict": ["RUN", "RUN/data/validation.jsonl", "--out", "OUT/p.jsonl"],
    "explain": ["RUN/recipe.yml", "training.learning_rate"], "serve": ["RUN", "--port", "0"], "benchmarks": ["RUN"],
    "data inspect": ["RUN/data", "--out", "OUT/page"], "data leaks": ["RUN/data/train.jsonl", "RUN/data/validation.jsonl"],
    "data validate": ["RUN/data/train.jsonl"], "convert": ["RUN/recipe.yml", "--out", "OUT/data"], "new": ["OUT/new", "--from", "RUN/recipe.yml"],
    "review": ["RUN", "--out", "OUT/review.html"], "import": ["RUN/rendered/axolotl.yml", "--out", "OUT/imported.yml"], "diff": ["RUN/recipe.yml", "OTHER/recipe.yml"],
    **{name: ["RUN/recipe.yml"] for name in ("check", "show", "mask", "plan", "render", "generate", "run", "verify-resume", "doctor", "ls")},
}  # fmt: skip
WITHOUT_RUN = {"schema"}  # its argument is one of a few names


def commands(group: click.Group = cli, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that name it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        if isinstance(command, click.Group):
            yield from commands(command, (*before, name))
        else:
            yield (*before, name), command


def calls(run: Path, other: Path, out: Path) -> dict[str, list[str]]:
    """The arguments of every command that can be given a run."""
    found = {}
    for words, command in commands():
        name = " ".join(words)
        given = ARGUMENTS.get(name) or ["RUN" for one in command.params if isinstance(one, click.Argument)]
        if name not in WITHOUT_RUN:
            values = {"RUN": run, "OTHER": other, "OUT": out}
            parts = [(word.partition("/"), word) for word in given]
            found[name] = [*words, *(f"{values[head]}{slash}{rest}" if head in values else word for (head, slash, rest), word in parts)]
    return found


def concerns(arguments: list[str], run: Path, name: str) -> bool:
    """Whether the arguments name the run itself, or this file or a folder that it is in."""
    named = [Path(word) for word in arguments if word.startswith(str(run))]
    return any((run / name).is_relative_to(path) for path in named)


def files_of(run: Path) -> list[str]:
    """The names of a run's files."""
    return sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())


def copied(run: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(run, target, symlinks=True)
    return target
