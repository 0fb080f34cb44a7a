"""`recipe doctor`: tables of the machine, the packages and the recipes."""

from pathlib import Path
from typing import Any

from ...schemas.base.counted import counted
from ...schemas.base.screen import MARKS, Screen
from ..resources.fit import OTHERS, others_text, size_text
from .tables import print_columns

GOOD, BAD, NOTE = MARKS


def show(facts: dict[str, Any], lacking: list[str], rows: list[dict[str, Any]]) -> None:
    """Print the machine, the packages and the recipes, then what is missing and how to get it."""
    console = Screen()
    _machine(facts, console)
    _packages(facts["packages"], console)
    _recipes(rows, bool(facts["gpus"]) and not facts["gpu_note"].startswith("hidden"), console)
    if len(rows) == 1 and rows[0]["kernels"]:
        _kernels(rows[0], console)
    for line in lacking:
        console.print_words(line, 2, BAD)
    for row in rows:
        for line in row["problems"]:
            console.print_words(f"{row['recipe']}: {line}", 2, BAD)
        for line in row["warnings"] if len(rows) == 1 and not row["problems"] else ():
            console.print_words(f"{row['recipe']}: {line}", 2, NOTE)
    if len(rows) > 1 and any(row["warnings"] and not row["problems"] for row in rows):
        console.print_words("tight, or too small for rows as long as sequence_len: recipe doctor RECIPE gives the figures", 2, NOTE)
    if not lacking:
        console.print_words("all packages for training are installed", 2, GOOD)


def _machine(facts: dict[str, Any], console: Screen) -> None:
    memory, disk, torch, gpus = facts["memory"], facts["disk"], facts["torch"], facts["gpus"]
    where = disk["cache_folder"].replace(str(Path.home()), "~")
    lines = [
        (GOOD, "Python", facts["python"]),
        (GOOD, "CPU", counted(facts["cores"], "core")),
        (GOOD, "memory", f"{size_text(memory['available'])} available of {size_text(memory['total'])}"),
        (GOOD, "disk", f"{size_text(disk['here'])} free here, {size_text(disk['cache'])} at {where}"),
    ]
    for gpu in gpus:
        capability = f"compute capability {gpu['capability']}" if gpu["capability"] else "compute capability unknown"
        used = others_text(gpu["used"] if gpu["used"] > OTHERS * gpu["memory"] else 0)
        lines.append((GOOD, "GPU", f"{gpu['name']}, {size_text(gpu['memory'])}{used}, {capability}, driver {gpu['driver']}"))
    if not gpus and not facts["gpu_note"]:
        lines.append((NOTE, "GPU", "none: training runs on the CPU in fp32"))
    if facts["gpu_note"]:
        lines.append((NOTE, "GPU", facts["gpu_note"]))
    lines.append((GOOD if torch else BAD, "torch", f"{torch['version']} ({torch['build']} build)" if torch else "not installed"))
    if gpus:
        kernels = ", ".join(f"{name} {version}" for name, version in facts["kernels"].items())
        lines.append((GOOD, "kernels", kernels or "none installed"))
    hub = facts["hub"]
    token = "a token is set" if hub["token"] else "no token: gated models (Llama) need `hf auth login`"
    lines.append((GOOD if hub["token"] else NOTE, "hub", ("offline; " if hub["offline"] else "") + token))
    marks, names, texts = zip(*lines, strict=True)
    console.print_table({"": marks, "this machine": names, " ": texts})


def _kernels(row: dict[str, Any], console: Screen) -> None:
    kernels = row["kernels"]
    columns = {"": [BAD if kernel["problem"] else GOOD for kernel in kernels], "part": [kernel["part"] for kernel in kernels],
               "used": [kernel["used"] for kernel in kernels], "why": [kernel["why"] for kernel in kernels]}  # fmt: skip
    console.print_table(columns, f"What {row['recipe']} uses")


def _packages(packages: list[dict[str, Any]], console: Screen) -> None:
    columns = {"": [GOOD if package["fits"] else BAD for package in packages], "package": [package["name"] for package in packages],
               "installed": [package["version"] or "-" for package in packages], "required": [package["wanted"] for package in packages],
               "extra": [package["extra"] for package in packages]}  # fmt: skip
    console.print_table(columns)


def _recipes(rows: list[dict[str, Any]], has_gpu: bool, console: Screen) -> None:
    known = [f"{row['parameters'] / 1e6:,.0f} M" if row["parameters"] else "unknown" for row in rows]
    sizes = {head: [size_text(row[key]) if row[key] else "unknown" for row in rows] for head, key in
             (("memory", "memory"), ("on a GPU", "memory_on_gpu"), ("disk", "disk"))}  # fmt: skip
    if has_gpu:
        del sizes["on a GPU"]
    keys = {
        "": [BAD if row["problems"] else NOTE if row["warnings"] or not row["parameters"] else GOOD for row in rows],
        "recipe": [row["recipe"] for row in rows],
    }
    columns = {"weights": known, "adapter": [row["adapter"] if row["adapter"] != "none" else "full" for row in rows], **sizes}
    where = "here" if has_gpu else "here and on a GPU in bf16"
    title = f"Recipes: estimated memory {where}, rows of sequence_len tokens"
    print_columns(keys, columns, console, title, right=("weights", *sizes))
