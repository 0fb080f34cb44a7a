"""`recipe doctor`: tables of the machine, the packages and the recipes."""

from typing import Any

from rich.table import Table
from rich.text import Text

from ...schemas.base.screen import Screen
from .fit import size_text

GOOD, BAD, NOTE = Text("✓", "green"), Text("✗", "red"), Text("!", "yellow")


def show(facts: dict[str, Any], lacking: list[str], rows: list[dict[str, Any]]) -> None:
    """Print the machine, the packages and the recipes, then what is missing and how to get it."""
    console = Screen()
    console.print(_machine(facts))
    console.print(_packages(facts["packages"]))
    console.print(_recipes(rows, bool(facts["gpus"]) and not facts["gpu_note"].startswith("hidden")))
    if len(rows) == 1 and rows[0]["kernels"]:
        console.print(_kernels(rows[0]))
    for line in lacking:
        console.print(BAD, line, soft_wrap=True)
    for row in rows:
        for line in row["problems"]:
            console.print(BAD, f"{row['recipe']}: {line}", soft_wrap=True)
        for line in row["warnings"] if len(rows) == 1 and not row["problems"] else ():
            console.print(NOTE, f"{row['recipe']}: {line}", soft_wrap=True)
    if not lacking:
        console.print(GOOD, "all packages for training are installed")


def _machine(facts: dict[str, Any]) -> Table:
    table = Table(title="This machine", title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    memory, disk, torch = facts["memory"], facts["disk"], facts["torch"]
    table.add_row(GOOD, "Python", facts["python"])
    table.add_row(GOOD, "CPU", f"{facts['cores']} cores")
    table.add_row(GOOD, "memory", f"{size_text(memory['available'])} available of {size_text(memory['total'])}")
    table.add_row(GOOD, "disk", f"{size_text(disk['here'])} free here, {size_text(disk['cache'])} at {disk['cache_folder']}")
    for gpu in facts["gpus"]:
        capability = f"compute capability {gpu['capability']}" if gpu["capability"] else "compute capability unknown"
        table.add_row(GOOD, "GPU", f"{gpu['name']}, {size_text(gpu['memory'])}, {capability}, driver {gpu['driver']}")
    if not facts["gpus"] and not facts["gpu_note"]:
        table.add_row(NOTE, "GPU", "none: training runs on the CPU in fp32")
    if facts["gpu_note"]:
        table.add_row(NOTE, "GPU", facts["gpu_note"])
    table.add_row(GOOD if torch else BAD, "torch", f"{torch['version']} ({torch['build']} build)" if torch else "not installed")
    if facts["gpus"]:
        table.add_row(GOOD, "kernels", ", ".join(f"{name} {version}" for name, version in facts["kernels"].items()) or "none installed")
    hub = facts["hub"]
    table.add_row(GOOD if hub["token"] else NOTE, "hub", ("offline; " if hub["offline"] else "")
                  + ("a token is set" if hub["token"] else "no token: gated models (Llama) need `hf auth login`"))  # fmt: skip
    return table


def _kernels(row: dict[str, Any]) -> Table:
    table = Table(title=f"What {row['recipe']} uses", title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    for kernel in row["kernels"]:
        table.add_row(BAD if kernel["problem"] else GOOD, kernel["part"], Text(kernel["used"]), Text(kernel["why"]))
    return table


def _packages(packages: list[dict[str, Any]]) -> Table:
    table = Table("", "package", "installed", "required", "extra", title="Packages", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for package in packages:
        table.add_row(GOOD if package["fits"] else BAD, package["name"], package["version"] or "-", package["wanted"], package["extra"])
    return table


def _recipes(rows: list[dict[str, Any]], has_gpu: bool) -> Table:
    title = "Recipes: estimated memory at sequence_len tokens per row"
    elsewhere = [] if has_gpu else ["on a GPU (bf16)"]
    table = Table("", title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("recipe", no_wrap=True, min_width=max((len(row["recipe"]) for row in rows), default=0))
    for heading in ("weights", "adapter", "memory here", *elsewhere, "disk"):
        table.add_column(heading, justify="left" if heading == "adapter" else "right")
    for row in rows:
        known = f"{row['parameters'] / 1e6:,.0f} M" if row["parameters"] else "unknown"
        sizes = [size_text(row[key]) if row[key] else "unknown" for key in ("memory", "memory_on_gpu", "disk")]
        if has_gpu:
            del sizes[1]
        mark = BAD if row["problems"] else NOTE if row["warnings"] or not row["parameters"] else GOOD
        table.add_row(mark, row["recipe"], known, row["adapter"] if row["adapter"] != "none" else "full", *sizes)
    return table
