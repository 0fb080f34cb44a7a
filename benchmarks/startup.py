"""What `recipe check` costs: CPU time (user + system), against what it cannot do without and against tools that do the same.

    check_vs_import            one recipe, against `python -c "import click, yaml"`
    check_vs_check_jsonschema  one recipe, against check-jsonschema with the same schema on the same file
    check_100_vs_5             100 recipes in one call, against 5
    check_vs_axolotl           one recipe, against Axolotl reading and validating its own configuration

Both sides run in turns, so that a busy machine slows both; medians. The last line is one JSON object. Where a tool is not
installed its ratio is null, and `notes` says so.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "schemas" / "recipe.schema.json"
RECIPE = ROOT / "recipes" / "emogpt_qwen.yml"
AXOLOTL_CONFIG = """\
base_model: Qwen/Qwen2.5-1.5B-Instruct
datasets: [{path: data.jsonl, type: chat_template}]
adapter: qlora
load_in_4bit: true
lora_r: 16
lora_alpha: 32
lora_target_linear: true
sequence_len: 2048
micro_batch_size: 4
gradient_accumulation_steps: 4
num_epochs: 3
learning_rate: 0.0002
optimizer: adamw_torch
lr_scheduler: cosine
output_dir: out
"""
AXOLOTL_LOADING = """\
import sys, yaml
from axolotl.utils.config import validate_config
from axolotl.utils.dict import DictDefault
validate_config(DictDefault(yaml.safe_load(open(sys.argv[1]))))
"""


def cpu_seconds(argv: list[str]) -> float:
    """User and system time of one run of `argv`. Raises RuntimeError when it fails."""
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]
    environment = {**os.environ, "DO_NOT_TRACK": "1", "AXOLOTL_DO_NOT_TRACK": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an editable install would be compiled again in each run
    pid = os.posix_spawn(argv[0], argv, environment, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    os.close(null)
    if status:
        raise RuntimeError(f"{' '.join(argv)} ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime


def medians(sides: dict[str, list[str]], rounds: int) -> dict[str, float]:
    """The median CPU seconds of each command, run in turns after one run that warms the caches."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, argv in sides.items():
            seconds = cpu_seconds(argv)
            if turn:
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def recipes(folder: Path, count: int) -> list[str]:
    """`count` copies of the recipe, each with a name of its own."""
    text = RECIPE.read_text("utf-8")
    paths = [folder / f"recipe_{index}.yml" for index in range(count)]
    for index, path in enumerate(paths):
        path.write_text(text.replace("name: emogpt_qwen", f"name: emogpt_qwen_{index}", 1), "utf-8")
    return list(map(str, paths))


def measure(python: Path, rounds: int, axolotl: bool) -> dict[str, object]:
    """Every ratio by name, with the milliseconds behind it."""
    bin_dir = python.parent
    recipe = [str(bin_dir / "recipe"), "check"]
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        paths = recipes(Path(scratch), 100)
        config = Path(scratch, "axolotl.yml")
        config.write_text(AXOLOTL_CONFIG)
        sides = {
            "import": [str(python), "-c", "import click, yaml"],
            "check": [*recipe, str(RECIPE)],
            "check_5": [*recipe, *paths[:5]],
            "check_100": [*recipe, *paths],
        }
        checker = bin_dir / "check-jsonschema"
        if checker.exists():
            sides["check_jsonschema"] = [str(checker), "--schemafile", str(SCHEMA), str(RECIPE)]
        else:
            notes.append("check-jsonschema is not installed next to this Python")
        seconds = medians(sides, rounds)
        if not axolotl:
            notes.append("axolotl was left out")
        elif find_spec("axolotl") is None:
            notes.append("axolotl is not installed in this python")
        else:
            seconds |= medians({"axolotl": [str(python), "-c", AXOLOTL_LOADING, str(config)]}, 2)

    def ratio(over: str, under: str) -> float | None:
        return round(seconds[over] / seconds[under], 3) if over in seconds and under in seconds else None

    return {
        "check_vs_import": ratio("check", "import"),
        "check_100_vs_5": ratio("check_100", "check_5"),
        "check_vs_check_jsonschema": ratio("check", "check_jsonschema"),
        "check_vs_axolotl": ratio("check", "axolotl"),
        "cpu_ms": {name: round(value * 1000, 1) for name, value in seconds.items()},
        "notes": notes,
    }


def main() -> None:
    """Measure, print a table, and the JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: coarse, some seconds")
    parser.add_argument("--without-axolotl", action="store_true", help="leave out Axolotl's side, which takes half a minute")
    options = parser.parse_args()
    result = measure(Path(sys.executable), 7 if options.quick else 40, not options.without_axolotl)
    for name, milliseconds in result["cpu_ms"].items():  # pyright: ignore[reportAttributeAccessIssue]
        print(f"{name:18} {milliseconds:8.1f} ms CPU")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
