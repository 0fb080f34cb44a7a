"""Which of Axolotl's fields change a training by recipekit: each is set on a tiny model, and what came of it is compared.

    python benchmarks/axolotl_fields.py               # all fields: about 30 minutes on two cores; writes schemas/axolotl_fields.json
    python benchmarks/axolotl_fields.py NAME...       # some of them, printed only
    python benchmarks/axolotl_fields.py --new         # those that schemas/axolotl_fields.json does not sort yet, and adds them

Every field that a recipe may pass through under `axolotl:` is set to a value that is not its default, in one or more kinds of training (an
adapter, every weight, packed rows). The real Axolotl trains four steps of a tiny Llama with our plugin, and then weights, losses, learning
rates, optimizer, batches, configuration, tokenizer and files are compared with those of the same training without the field. A field
that changes nothing anywhere is one that `recipe check` refuses. What may not be passed through whatever it does (code, network, other
trainers) stands with its reason under `refused` in schemas/axolotl_fields.json and is not tried.
"""

import contextlib
import gc
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axolotl_probes
import yaml
from smoke import status_of

ROOT = Path(__file__).resolve().parent.parent
FIELDS = ROOT / "schemas" / "axolotl_fields.json"
STEPS, SECONDS = 4, 240
LOGGED = ("loss", "grad_norm", "learning_rate", "eval_loss")
# Written by every training, and about the file that asked for it or the clock.
NOT_COMPARED = (
    "README.md", "debug.log", "trainer_state.json", "training_args.bin", "scheduler.pt", "optimizer.pt", "rng_state.pth",
    "checksums.json", "sealed.json",
)  # fmt: skip


def prepared_runs(folder: Path) -> dict[str, Path]:
    """A run directory of each kind of training, converted and rendered, with its model; nothing of it trained."""
    sys.path.insert(0, str(ROOT))
    from tests.support import tiny

    model = folder / "model"
    subprocess.run([sys.executable, "-m", tiny.__name__, "llama", model], cwd=ROOT, check=True, capture_output=True)
    runs = {}
    for kind, settings in axolotl_probes.KINDS.items():
        home = folder / kind
        home.mkdir()
        recipe = tiny.write_recipe(home, model)
        if settings.get("training.adapter") == "none":
            lines = recipe.read_text(encoding="utf-8").splitlines(keepends=True)
            recipe.write_text("".join(line for line in lines if not line.strip().startswith("lora_")), encoding="utf-8")
        values = [f"--set={key}={value}" for key, value in {"training.max_steps": STEPS, "training.eval_steps": 2, "training.save_steps": 2,
                                                            "training.logging_steps": 1, **settings}.items()]  # fmt: skip
        recipe_command = [sys.executable, "-m", "recipekit.runner"]
        program = [*recipe_command, "run", str(recipe), "--runs-dir", str(home / "runs"), *values]
        environment = {**os.environ, "RECIPEKIT_DEVICE": "cpu", "PYTHONSAFEPATH": "1"}
        done = subprocess.run(program, cwd=home, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"the {kind} training failed:\n{done.stderr}")
        runs[kind] = next((home / "runs" / "tiny").iterdir())
    return runs


def trained(run: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """The fingerprint of a training with the changed keys, part by part; {"fails": why} where it does not train."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("data", "rendered", "recipe.yml"):
            copy = shutil.copytree if (run / part).is_dir() else shutil.copy
            copy(run / part, folder / part)
        config = folder / "rendered" / "axolotl.yml"
        values = yaml.safe_load(config.read_text(encoding="utf-8")) | changes
        config.write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not None}), encoding="utf-8")
        pid = os.fork()
        if pid == 0:
            os._exit(status_of(lambda: _train_here(folder)))
        failed = _waited(pid)
        found = folder / "fingerprint.json"
        if found.is_file() and not failed:
            return json.loads(found.read_text(encoding="utf-8"))
        return {"fails": _reason(folder) or failed or "no result"}


def _waited(pid: int) -> str:
    """Why the process ended badly; empty where it did not."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return "" if os.waitstatus_to_exitcode(status) == 0 else f"exit code {os.waitstatus_to_exitcode(status)}"
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return f"not done after {SECONDS} seconds"


def _reason(folder: Path) -> str:
    """What our plugin or Axolotl said last."""
    progress = folder / "progress.jsonl"
    events = [json.loads(line) for line in progress.read_text(encoding="utf-8").splitlines()] if progress.is_file() else []
    refused = [event["what"] for event in events if event["event"] == "refused"]
    lines = [line.strip() for line in (folder / "log").read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    invalid = [line.removeprefix("Value error, ").partition(" [type=")[0] for line in lines if line.startswith("Value error")]
    errors = [line for line in lines if "Error" in line and not line.startswith(("File", "raise", "warn"))]
    return " ".join((refused or invalid or errors or lines or [""])[-1].split())[:200]


def _train_here(folder: Path) -> None:
    """Train in this process, which is a fork, and leave fingerprint.json."""
    os.chdir(folder)
    log = os.open("log", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv = ["axolotl"]
    from axolotl.cli.train import do_cli

    with watched() as seen:
        do_cli("rendered/axolotl.yml")
    Path("fingerprint.json").write_text(json.dumps(fingerprint(folder, seen)), encoding="utf-8")


@contextlib.contextmanager
def watched() -> Iterator[dict[str, Any]]:
    """While the block runs, what the trainer is given and does: batches, optimizer, trained weights, collections of garbage."""
    from transformers import Trainer

    seen: dict[str, Any] = {"batches": [], "collections": 0}
    train, step, predict, collect = Trainer.train, Trainer.training_step, Trainer.prediction_step, gc.collect

    def counted(*arguments: Any) -> int:
        seen["collections"] += 1
        return collect(*arguments)

    def batch(inputs: dict[str, Any], what: str) -> None:
        tensors = {key: [list(value.shape), str(value.dtype), hashlib.sha256(value.cpu().numpy().tobytes()).hexdigest()[:12]]
                   for key, value in inputs.items() if hasattr(value, "shape")}  # fmt: skip
        seen["batches"].append([what, tensors])

    def training_step(self: Any, model: Any, inputs: Any, *more: Any, **named: Any) -> Any:
        batch(inputs, f"train {model.training}")
        return step(self, model, inputs, *more, **named)

    def prediction_step(self: Any, model: Any, inputs: Any, *more: Any, **named: Any) -> Any:
        batch(inputs, "evaluate")
        return predict(self, model, inputs, *more, **named)

    def whole(self: Any, *more: Any, **named: Any) -> Any:
        result = train(self, *more, **named)
        optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
        plain = int | float | str | bool | tuple | list | None
        groups = [
            {key: value for key, value in group.items() if key != "params" and isinstance(value, plain)}
            | {"parameters": sum(p.numel() for p in group["params"])}
            for group in optimizer.param_groups
            if group["params"]
        ]
        state = sorted(
            {f"{key} {value.dtype}" for entry in optimizer.state.values() for key, value in entry.items() if hasattr(value, "dtype")}
        )
        seen["optimizer"] = [type(optimizer).__name__, groups, state]
        seen["trained"] = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        seen["dtypes"] = sorted({f"{p.dtype} {p.requires_grad}" for p in self.model.parameters()})
        seen["model"] = [type(self.model).__name__, self.model.config.to_json_string()]
        seen["steps"] = self.state.global_step
        return result

    Trainer.train, Trainer.training_step, Trainer.prediction_step, gc.collect = whole, training_step, prediction_step, counted
    try:
        yield seen
    finally:
        Trainer.train, Trainer.training_step, Trainer.prediction_step, gc.collect = train, step, predict, collect


def fingerprint(folder: Path, seen: dict[str, Any]) -> dict[str, Any]:
    """What the training came to, by the parts that are compared."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    out = folder / "checkpoints"
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in NOT_COMPARED)
    made = [path for path in files if path.parent not in (folder, folder / "rendered", folder / "data") and "prepared" not in path.parts]
    return {
        "weights": {path.name: _hash(path) for path in sorted(out.glob("*.safetensors"))},
        "losses": [[line.get(key) for key in LOGGED if key != "learning_rate"] for line in lines],
        "schedule": [line.get("learning_rate") for line in lines],
        "optimizer": seen["optimizer"],
        "batches": seen["batches"],
        "trained weights": seen["trained"],
        "types": seen["dtypes"],
        "model": seen["model"],
        "steps": seen["steps"],
        "garbage collections": seen["collections"],
        "tokens": json.loads((folder / "tokens.json").read_text(encoding="utf-8")),
        "files": sorted({str(path.relative_to(folder)) for path in made}),
        "contents": {str(path.relative_to(folder)): _hash(path) for path in made if path.suffix in (".json", ".jinja", ".model", ".txt")},
    }


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def effect(name: str, runs: dict[str, Path], plain: dict[str, dict[str, Any]], defaults: Any) -> dict[str, Any]:
    """What setting the field changes, in the first kind of training where it changes something; else why nothing does."""
    failures = []
    for kind, value, needs in axolotl_probes.attempts(name, defaults):
        base = plain[json.dumps([kind, needs])] if json.dumps([kind, needs]) in plain else trained(runs[kind], needs)
        plain[json.dumps([kind, needs])] = base
        if "fails" in base:
            failures.append(base["fails"])
            continue
        after = trained(runs[kind], {**needs, name: value})
        if "fails" in after:
            failures.append(after["fails"])
            continue
        if differing := [part for part in base if base[part] != after[part]]:
            found = {"effect": "trains", "seen": differing, "in": kind, "value": value}
            found |= ({"needs": needs} if needs else {}) | axolotl_probes.KNOWN.get(name, {})
            return found | ({"with_adapter": more} if kind == "full" and (more := needs_of_adapter(name, runs)) else {})
    return {"effect": "fails", "why": failures[0]} if failures else {"effect": "none"}


def needs_of_adapter(name: str, runs: dict[str, Path]) -> dict[str, Any]:
    """What a field that has an effect on a full training needs with it to train with an adapter; {} where it does not then either."""
    given = [(value, needs) for value, needs in axolotl_probes.VALUES.get(name, []) if needs]
    return next((needs for value, needs in given if "fails" not in trained(runs["lora"], {**needs, name: value})), {})


def sorted_by_hand(name: str) -> dict[str, Any] | None:
    """The effect of what is not compared here: kernels of a GPU, the speed of reading, names that trackers show."""
    sets = {"gpu": axolotl_probes.GPU, "speed": axolotl_probes.SPEED, "tracker": axolotl_probes.TRACKERS}
    return next(({"effect": effect} for effect, names in sets.items() if name in names), None)


def main() -> None:
    """Try the fields that are named, or all, and print a line each; all of them are written to schemas/axolotl_fields.json."""
    known = json.loads(FIELDS.read_text(encoding="utf-8"))
    os.environ.update(AXOLOTL_DO_NOT_TRACK="1", DO_NOT_TRACK="1", RECIPEKIT_DEVICE="cpu", ACCELERATE_USE_CPU="true", DS_ACCELERATOR="cpu",
                      TOKENIZERS_PARALLELISM="false", CUDA_VISIBLE_DEVICES="", HF_HUB_OFFLINE="1", WANDB_MODE="offline")  # fmt: skip
    import recipekit.runner.worker.axolotl_plugin  # noqa: F401
    from axolotl.utils.schemas.config import AxolotlInputConfig

    fields = AxolotlInputConfig.model_fields
    tried = [name for name in sorted(fields) if name not in known["rendered"] and name not in known["refused"]]
    effects: dict[str, Any] = known.get("effects", {}) if sys.argv[1:] == ["--new"] else {}
    named = [argument for argument in sys.argv[1:] if argument != "--new"]
    names = named or [name for name in tried if effects.get(name, {"effect": "untried"})["effect"] == "untried"]
    with tempfile.TemporaryDirectory() as folder:
        runs = prepared_runs(Path(folder))
        plain = {json.dumps([kind, {}]): trained(run, {}) for kind, run in runs.items()}
        again = {json.dumps([kind, {}]): trained(run, {}) for kind, run in runs.items()}
        if plain != again:
            parts = [f"{key}: {part}" for key in plain for part in plain[key] if plain[key][part] != again[key].get(part)]
            sys.exit(f"the same training twice differs, so nothing can be compared: {parts} {[p.get('fails') for p in plain.values()]}")
        for name in names:
            effects[name] = sorted_by_hand(name) or effect(name, runs, plain, fields[name])
            print(json.dumps({name: effects[name]}), flush=True)
            if not named:  # after each: so that an interrupted sweep can continue
                known["effects"] = {name: effects[name] for name in tried if name in effects}
                FIELDS.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
