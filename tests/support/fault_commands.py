"""What the fault loop disturbs: each command with the folder it starts from, what recovers from a fault, and what must come of both."""

import json
import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.smoke import status_of

from .crash_states import LOGS
from .disk_faults import Fault
from .faulty_command import forked
from .jsonl import write_jsonl
from .llm_server import Server, reply
from .run_files import CLOCK
from .tiny import write_recipe

# A constant rate, so that one step more moves the weights; dropout, so that it draws random numbers.
SETTINGS = ["training.lr_scheduler=constant", "training.max_steps=2", "training.save_steps=1", "training.eval_steps=2", "training.logging_steps=1",
            "evaluation.max_rows=2", "evaluation.metrics=[perplexity]", "evaluation.generation.max_new_tokens=null", "export.merge=true"]  # fmt: skip
OTHER_EVALUATION = ["--set", "evaluation.max_rows=3"]
SCORED_AGAIN = ["--set", "evaluation.metrics=[token_accuracy]"]


class Loop(NamedTuple):
    """A command that is disturbed in a copy of the folder `before`, the command that recovers from it (none where it came
    through), and what must come of both."""

    before: Path
    command: list[str]
    recovery: Callable[[Path], list[str]]
    outcome: Callable[[Path], dict[str, Any]]


def run_of(folder: Path) -> Path | None:
    """The run's directory, once it has a state."""
    return next((path.parent for path in folder.glob("runs/tiny/*/status.json")), None)


def result(folder: Path) -> dict[str, Any]:
    """What a finished run came to, without what the clock decides."""
    run = run_of(folder)
    assert run
    status = json.loads((run / "status.json").read_text())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    digests = {f"{name}/{path.name}": digest(path) for name in ("model", "merged", "data") for path in (run / name).glob("*")
               if path.suffix in (".safetensors", ".jsonl") or path.name in ("adapter_config.json", "tokenizer.json")}  # fmt: skip
    metrics = json.loads((run / "eval" / "metrics.json").read_text())
    return {
        "state": status["state"], "reason": status["reason"], "stages": status["stages"],
        "steps": [{key: value for key, value in line.items() if key not in CLOCK} for line in lines],
        "training": (run / "training.json").read_text(), "metrics": metrics,
        "predictions": (run / "eval" / "predictions.jsonl").read_text(), "report": "</html>" in (run / "report.html").read_text(),
        "left": sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.name.endswith(".tmp") or path.name == "evaluating"),
        **digests,
    }  # fmt: skip


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def settings(*more: str) -> list[str]:
    return [word for value in (*SETTINGS, *more) for word in ("--set", value)]


def fresh(scratch: Path) -> Path:
    """A folder with the recipe and its rows; the model is outside of what is disturbed."""
    folder = scratch / "fresh"
    if not folder.exists():
        folder.mkdir()
        from .tiny import build_model

        if (child := os.fork()) == 0:
            os._exit(status_of(lambda: build_model(scratch / "llama")))
        os.waitpid(child, 0)
        write_recipe(folder, scratch / "llama", rows=24)
    return folder


def finished_run(scratch: Path) -> Path:
    """The folder of a run that nothing has disturbed."""
    finished = scratch / "finished"
    if not finished.exists():
        shutil.copytree(fresh(scratch), finished)
        code, _ = forked(["run", "tiny.yml", *settings()], finished, Fault())
        if code:
            raise SystemExit((finished / "output").read_text())
    return finished


def of_run(scratch: Path) -> Loop:
    def recovery(folder: Path) -> list[str]:
        run = run_of(folder)
        if run and json.loads((run / "status.json").read_text())["state"] == "done":
            return []  # it came through: what is left must be the same all the same
        return ["resume", "tiny"] if run else ["run", "tiny.yml", *settings()]

    return Loop(fresh(scratch), ["run", "tiny.yml", *settings()], recovery, result)


def of_finished(*command: str) -> Callable[[Path], Loop]:
    """A command on a finished run, which is given again after the fault; in between the run is done, and its numbers whole."""

    def loop(scratch: Path) -> Loop:
        before = finished_run(scratch)
        old = result(before)

        def recovery(folder: Path) -> list[str]:
            found = result(folder)
            wrong = {key for key in ("state", "steps", "training", *(key for key in old if "/" in key)) if found[key] != old[key]}
            if wrong:
                raise SystemExit(f"{command} with a fault changed {wrong} in {folder}")
            return list(command)

        return Loop(before, list(command), recovery, lambda folder: result(folder) | extra(folder))

    return loop


def extra(folder: Path) -> dict[str, Any]:
    """The files that a command makes besides a run's own, without what it printed."""
    return {path.name: digest(path) for path in folder.glob("out*") if path.is_file() and path.name not in LOGS}


def left_over(folder: Path) -> list[str]:
    """Files and folders that only a command at work has."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.endswith(".tmp"))


def of_output(scratch: Path, command: list[str], output: str, older: list[str], facts: Callable[[Path], dict[str, Any]]) -> Loop:
    """A command that replaces what an `older` one has written to the folder `output`: after a fault that is the whole old or the whole new one."""
    before = scratch / f"{command[0]}-before"
    code, _ = forked([*command, *older], before, Fault())
    if code:
        raise SystemExit((before / "output").read_text())
    whole = [digests(before / output)]

    def outcome(folder: Path) -> dict[str, Any]:
        found = digests(folder / output)
        if len(whole) == 1:
            whole.append(found)  # the first one is undisturbed
        return {**found, **facts(folder), "left": left_over(folder)}

    def recovery(folder: Path) -> list[str]:
        if digests(folder / output) not in whole:
            raise SystemExit(f"{command} with a fault left neither the old nor the new {output} in {folder}")
        return command

    return Loop(before, command, recovery, outcome)


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): digest(path) for path in folder.rglob("*") if path.is_file()}


def of_convert(scratch: Path) -> Loop:
    before = emptied(scratch / "convert-before")
    write_recipe(before, scratch / "llama", rows=48)
    return of_output(scratch, ["convert", "tiny.yml"], "data/tiny", ["--set", "data.sources.0.limit=20"], lambda folder: {})


def of_generate(scratch: Path) -> Loop:
    """Half of the replies are known already. No request that was answered is sent again, but for the one that was under way."""
    before = emptied(scratch / "generate-before")
    server = Server(reply(lambda exchange: f"love | joy {exchange.body['seed']}"))
    (before / "prompt.yml").write_text("prompt: 1\nuser: 'Emotions in {text}?'\n", encoding="utf-8")
    write_jsonl(before / "rows.jsonl", [{"name": f"s{number}", "question": f"sentence {number}"} for number in range(GENERATED_ROWS)])
    (before / "asked.yml").write_text(GENERATE.format(url=server.url), encoding="utf-8")

    def facts(folder: Path) -> dict[str, Any]:
        asked = len(server.asked)
        server.asked.clear()
        return {"answered twice": max(asked - GENERATED_ROWS - 1, 0)}

    loop = of_output(scratch, ["generate", "asked.yml"], "runs/asked/generated", ["--set", "generate.options.runs=1"], facts)
    server.asked.clear()
    return loop


GENERATED_ROWS = 3
GENERATE = """recipe: 1
name: asked
model: {{base_model: some/model}}
generate:
  task: ask
  prompt: prompt.yml
  input: rows.jsonl
  options: {{runs: 2, text_key: question}}
  limits: {{concurrency: 1}}
  providers: [{{provider: openai_compatible, model: m, base_url: "{url}"}}]
data:
  type: chat
  sources: [{{path: generated:rows, converter: introspection}}]
training: {{adapter: lora, learning_rate: 1e-4}}
"""

LOOPS: dict[str, Callable[[Path], Loop]] = {
    "report": of_finished("report", "tiny"),
    "export": of_finished("export", "tiny", "--out", "out.gguf"),
    "score": of_finished("eval", "tiny", *SCORED_AGAIN),
    "eval": of_finished("eval", "tiny", *OTHER_EVALUATION),
    "merge": of_finished("merge", "tiny", "--out", "merged-again"),
    "run": of_run,
    "convert": of_convert,
    "generate": of_generate,
}
WITHOUT_TRAINER = ("convert", "generate")
