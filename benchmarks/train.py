"""What training costs on a CPU, on the real EmoGPT rows with the embedded model of 135 million weights.

    vs_guide_tokens_per_s  tokens (padding left out) per CPU second, against the source guide's own method: TRL's SFTTrainer, whole
                           conversations, batches of 4 padded, gradient checkpointing; the same adapter, fp32, rows and effective batch
    loss_difference        our loss on the last assistant turn of held-out rows less the guide's, after the same rows
    wrapper_overhead       CPU time of `recipe run`'s trainer between its start and its end, against bare `axolotl train` with the same file
                           less our plugin; *_start holds what comes before the first step

Ours is the recipe's default: each step's rows batched by length, logits only where a token is trained, no checkpointing. Every side runs
in a process of its own. CPU seconds, because wall time on a shared machine measures the others; wall ratios are given too.
The rows are those of --data (augmentedv1.jsonl), else the small set that is shipped, and `notes` says so. The last line is one JSON object.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import train_sides
import yaml
from recipekit.runner.launch.plan import CONFIG
from recipekit.runner.workflows.resume_check import TrainingTrial, prepare
from recipekit.schemas.base.files import write_atomically
from recipekit.schemas.recipe import load_recipe

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "recipes" / "data" / "emogpt_small.jsonl"
REAL = Path(os.environ.get("RECIPEKIT_REALDATA", "")) / "emogpt" / "augmentedv1.jsonl"
LORA = {"r": 16, "alpha": 32, "dropout": 0.05}
MICRO, ACCUMULATION, LENGTH, RATE, WARM_UP = 4, 4, 2048, 2e-4, 1
RECIPE = """recipe: 1
name: benchmark
model: {{base_model: "embedded:smollm2-135m-instruct", pad_token: <|endoftext|>}}
data:
  type: chat
  sources:
    - {{path: train.jsonl, converter: emogpt, split: train}}
    - {{path: held.jsonl, converter: emogpt, split: validation}}
  split: {{validation: 0}}
training:
  adapter: lora
  lora_r: {r}
  lora_alpha: {alpha}
  lora_dropout: {dropout}
  sequence_len: {length}
  micro_batch_size: {micro}
  gradient_accumulation_steps: {accumulation}
  learning_rate: {rate}
  warmup_steps: {warm_up}
  save_steps: {steps}
"""


class Scale(NamedTuple):
    """How much is trained: rows in steps of 16, held-out rows; steps of one short row for the wrapper, and how often."""

    rows: int
    held: int
    overhead_steps: int
    rounds: int


FULL = Scale(rows=96, held=24, overhead_steps=40, rounds=2)
QUICK = Scale(rows=16, held=4, overhead_steps=8, rounds=1)


class Clock:
    """Wall and CPU seconds of a trainer, read where its events come: when it starts to train, at its first step and at its end."""

    def __init__(self) -> None:
        self.pid = 0
        self.times: dict[str, tuple[float, float]] = {}

    def __call__(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "stage":
            kind = f"stage {event['name']}"
        elif kind == "step":
            kind = f"{'evaluated' if 'eval_loss' in event else 'step'} {event['step']}"
        self.pid = event.get("pid", self.pid)
        self.read(kind)

    def read(self, kind: str) -> None:
        """Note the time once."""
        if self.pid and kind not in self.times:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            self.times[kind] = (time.monotonic(), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))

    def between(self, start: str, end: str) -> tuple[float, float]:
        """Wall and CPU seconds."""
        return self.times[end][0] - self.times[start][0], self.times[end][1] - self.times[start][1]


def side(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """A side of train_sides.py in a process of its own."""
    argv = [sys.executable, train_sides.__file__, name, json.dumps(given)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def rows_of(data: Path) -> list[str]:
    """The rewritten conversations, each line once."""
    lines = dict.fromkeys(data.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if json.loads(line)["metadata"].get("augmented")]


def write(folder: Path, train: list[str], held: list[str], steps: int, **changes: Any) -> Path:
    """The recipe and its two files."""
    folder.mkdir(parents=True)
    for name, lines in (("train", train), ("held", held)):
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    values = {**LORA, "length": LENGTH, "micro": MICRO, "accumulation": ACCUMULATION, "rate": RATE, "warm_up": WARM_UP, "steps": steps}
    (folder / "benchmark.yml").write_text(RECIPE.format(**values | changes), encoding="utf-8")
    return folder / "benchmark.yml"


def train(recipe: Path, folder: Path) -> tuple[TrainingTrial, Clock]:
    """Our side: the training stage of `recipe run`."""
    clock = Clock()
    trial = prepare(load_recipe(str(recipe)), folder, folder / "run", clock)
    trial.train()
    return trial, clock


def against_guide(folder: Path, lines: list[str], scale: Scale) -> dict[str, Any]:
    """Both sides over the same rows, and the loss of each on the held-out ones."""
    steps = scale.rows // (MICRO * ACCUMULATION)
    recipe = write(folder, lines[scale.held : scale.held + scale.rows], lines[: scale.held], steps)
    trial, clock = train(recipe, folder)
    model = yaml.safe_load((trial.folder / CONFIG).read_text())["base_model"]
    facts = json.loads((trial.folder / "tokens.json").read_text())
    guide = side("guide", {
        "model": model, "train": str(trial.folder / "data" / "train.jsonl"), "out": str(folder / "guide"), "lora": LORA, "micro": MICRO,
        "accumulation": ACCUMULATION, "learning_rate": RATE, "warmup_steps": WARM_UP, "sequence_len": LENGTH,
    })  # fmt: skip
    tokenised = folder / "held_tokens.jsonl"
    argv = [sys.executable, "-m", "recipekit.runner.worker.tokenization", "data/validation.jsonl", str(tokenised)]
    subprocess.run(argv, cwd=trial.folder, check=True, capture_output=True, env={**os.environ, **trial.plan.env})
    adapters = {"base": None, "ours": str(trial.folder / "checkpoints" / f"checkpoint-{steps}"), "guide": str(folder / "guide")}
    losses = side("loss", {"model": model, "rows": str(tokenised), "adapters": adapters})
    wall, cpu = clock.between("evaluated 0", f"step {steps}")  # what the guide's clock holds: its steps, no evaluation
    tokens = facts["train"]["trained"] + facts["train"]["masked"]
    peak = json.loads((trial.folder / "memory.json").read_text())["peak"] >> 20
    ours = {
        "tokens": tokens,
        "wall": wall,
        "cpu": cpu,
        "peak_mb": peak,
        "losses": [line["loss"] for line in trial.lines() if "loss" in line],
    }
    return {"ours": ours, "guide": guide, "held_out_loss": losses}


def overhead(folder: Path, lines: list[str], scale: Scale) -> dict[str, list[dict[str, float]]]:
    """Steps of one row each, ours and bare, in turns: CPU seconds to the start of training, and from there to the end."""
    short = sorted(lines, key=len)[: scale.overhead_steps + 2]
    found: dict[str, list[dict[str, float]]] = {"ours": [], "bare": []}
    for turn in range(scale.rounds):
        place = folder / f"turn-{turn}"
        recipe = write(place, short[2:], short[:2], scale.overhead_steps // 2, micro=1, accumulation=1)
        trial, clock = train(recipe, place)
        found["ours"].append({"cpu": clock.between("train", "stage save")[1], "start": clock.times["train"][1]})
        found["bare"].append(bare(trial, place / "bare"))
    return found


def bare(trial: TrainingTrial, folder: Path) -> dict[str, float]:
    """`axolotl train` on the file that we rendered, without our plugin; its log says when the training starts and ends."""
    copy = trial.copy_to(folder)
    config = yaml.safe_load((folder / CONFIG).read_text())
    del config["plugins"]
    write_atomically(folder / CONFIG, yaml.safe_dump(config).encode())
    clock = Clock()
    log = folder / "train.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(trial.plan.executable(), cwd=folder, env={**os.environ, **copy.plan.env}, stdout=stream, stderr=stream)
        clock.pid = process.pid
        while process.poll() is None:
            logged = log.read_bytes()
            for kind, sign in (("train", b"Starting trainer"), ("stage save", b"Training completed!")):
                if sign in logged:
                    clock.read(kind)
            time.sleep(0.05)
    if process.returncode:
        raise RuntimeError(log.read_text()[-2000:])
    return {"cpu": clock.between("train", "stage save")[1], "start": clock.times["train"][1]}


def main() -> None:
    """Measure, and print the JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one step of 16 rows: a minute or two, most of it imports")
    parser.add_argument("--data", type=Path, default=REAL if REAL.is_file() else SHIPPED, help="the EmoGPT conversations")
    options = parser.parse_args()
    os.environ |= {"RECIPEKIT_DEVICE": "cpu", "AXOLOTL_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1"}
    scale, lines = QUICK if options.quick else FULL, rows_of(options.data)
    notes = [] if options.data != SHIPPED else ["the shipped rows, not the real ones: they are few and short"]
    with tempfile.TemporaryDirectory() as scratch:
        both = against_guide(Path(scratch) / "guide", lines, scale._replace(rows=min(scale.rows, (len(lines) - scale.held) // 16 * 16)))
        turns = overhead(Path(scratch) / "overhead", lines, scale)
    ours, guide, losses = both["ours"], both["guide"], both["held_out_loss"]
    least = {name: {key: min(turn[key] for turn in found) for key in ("cpu", "start")} for name, found in turns.items()}
    result = {
        "vs_guide_tokens_per_s": round(ours["tokens"] / ours["cpu"] / (guide["tokens"] / guide["cpu"]), 3),
        "vs_guide_tokens_per_s_wall": round(ours["tokens"] / ours["wall"] / (guide["tokens"] / guide["wall"]), 3),
        "loss_difference": round(losses["ours"] - losses["guide"], 4),
        "wrapper_overhead": round(least["ours"]["cpu"] / least["bare"]["cpu"], 3),
        "wrapper_overhead_start": round(least["ours"]["start"] / least["bare"]["start"], 3),
        **both,
        "overhead": turns,
        "notes": notes,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
