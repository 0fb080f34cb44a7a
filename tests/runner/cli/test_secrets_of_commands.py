"""No command prints or writes a secret: of its arguments, of a wrong place in a file, of the environment, or of what a library says."""

import json
import logging
import shutil
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from recipekit.runner.cli import main
from recipekit.runner.cli.main import COMMANDS
from recipekit.runner.runtime.run_files import STATUS
from recipekit.schemas.yaml_writing import to_yaml

from ...support.finished_runs import write_chat_run
from ...support.jsonl import write_jsonl
from ...support.planted import ELSEWHERE, ENVIRONMENT, PLANTED, leaks, own_core

ALL = " ".join(PLANTED.values())
KEY, IN_ADDRESS = PLANTED["hub"], PLANTED["password in an address"]
ACCOUNT = f"me:{own_core('password in an address')}@127.0.0.1:9"  # nobody listens there
RUN, OTHER = "runs/tiny/20250101-000000-abcdef", "runs/tiny/20250102-000000-abcdef"

Recipe = Callable[..., Any]
GOOD, BAD, SWEEP, CHILD = (f"../given/{name}.yml" for name in ("good", "bad", "sweep", "child"))
CALLS = [
    *([verb, ALL] for verb in COMMANDS),
    *([verb, f"--{KEY}"] for verb in COMMANDS),
    *([verb, RUN, *PLANTED.values()] for verb in COMMANDS),
    *([verb, name] for verb in ("check", "run", "plan", "render", "show", "explain", "doctor", "generate") for name in (BAD, CHILD)),
    *([verb, SWEEP] for verb in ("check", "run", "plan", "render", "mask")),
    *([verb, GOOD, "--set", f"training.learning_rate={KEY}"] for verb in ("check", "run", "plan", "render", "show", "diff", "mask")),
    *([verb, GOOD, "--set", f"{KEY}=1", "--json"] for verb in ("check", "run", "plan", "show")),
    ["run", GOOD, "--dry-run"], ["plan", GOOD], ["doctor", GOOD], ["doctor", "--json"], ["explain", GOOD, KEY], ["diff", GOOD, BAD], [KEY],
    ["import", "../given/axolotl.yml", "--out", "axolotl.yml"], ["import", "../given/axolotl.yml", "--json"],
    ["import", "../given/factory.yml", "--out", "factory.yml"], ["import", "../given/factory.yml", "--json"], ["import", BAD],
    ["new", "fresh", "--data", "../given/rows.jsonl"], ["new", "fresh", "--data", IN_ADDRESS], ["new", "fresh", "--from", ALL],
    ["convert", "--converter", "messages", IN_ADDRESS, "--out", "o"], ["convert", "--converter", KEY, "../given/rows.jsonl", "--out", "o"],
    ["data", "validate", "../given/rows.jsonl", IN_ADDRESS], ["data", "inspect", "../given/rows.jsonl", "--out", "page"],
    ["data", "inspect", "../given/rows.jsonl", "--recipe", BAD], ["data", "leaks", "../given/rows.jsonl", IN_ADDRESS], ["data", KEY],
    ["compare", RUN, OTHER, "--html", "compared.html"], ["compare", RUN, OTHER, "--json"], ["report", RUN], ["runs"], ["runs", "--json"],
    ["review", RUN, "--out", "review.html"], ["reproduce", RUN], ["push", RUN, KEY], ["verify", RUN], ["serve", RUN, "--port", KEY],
    ["predict", RUN, "../given/rows.jsonl", "--out", "p.jsonl", "--max-tokens", KEY],
]  # fmt: skip


def configuration(**keys: Any) -> str:
    """A configuration of another tool whose every other key holds a secret, each in a type that the key does not have."""
    wrong = {name: text for name, text in zip(("optimizer", "lr_scheduler", "lr_scheduler_type", "warmup_steps", "lora_r", "lora_rank",
             "sequence_len", "cutoff_len", "save_steps", "bf16", "flash_attention", "val_set_size", "val_size", "quantization_bit",
             "hub_token", "hf_hub_token", "ms_hub_token", "wandb_api_key", "swanlab_api_key", "num_epochs", "seed"), PLANTED.values(),
             strict=False)}  # fmt: skip
    return to_yaml({**keys, **wrong, **dict.fromkeys(PLANTED.values(), 1), "special_tokens": {KEY: KEY}})


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minimal: Callable[..., dict[str, Any]]) -> Path:
    """The working folder, with two runs. What holds secrets in wrong places is next to it, in `given`."""
    given, work = tmp_path / "given", tmp_path / "work"
    given.mkdir()
    work.mkdir()
    monkeypatch.chdir(work)
    for name, value in {**ENVIRONMENT, **ELSEWHERE, "HF_HUB_OFFLINE": "1"}.items():
        monkeypatch.setenv(name, value)
    good = minimal()
    write_jsonl(
        given / "rows.jsonl",
        [{"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "Yes."}]} for n in range(9)],
    )
    wrong = {"training.learning_rate": KEY, "evaluation.metrics": [*PLANTED.values()], "model.revision": {KEY: 1}, "axolotl": {KEY: KEY}}
    files = {
        "good.yml": to_yaml(good),
        "bad.yml": to_yaml(minimal({**wrong, **dict.fromkeys(PLANTED.values(), 1)})),
        "sweep.yml": to_yaml({**good, "matrix": {"training.learning_rate": [1e-4, *PLANTED.values()], KEY: [1, 2]}}),
        "child.yml": to_yaml({"recipe": 1, "name": "child", "extends": IN_ADDRESS}),
        "axolotl.yml": configuration(base_model="a/b", adapter="lora", datasets=[{"path": "rows.jsonl", "type": KEY, KEY: KEY}]),
        "factory.yml": configuration(model_name_or_path="a/b", stage="sft", finetuning_type="lora", dataset=KEY, template=IN_ADDRESS),
    }
    for name, text in files.items():
        (given / name).write_text(text)
    run = write_chat_run(work, [f"plain text {n}" for n in range(5)])
    run.write(STATUS, {"recipe": "tiny", "state": "failed", "reason": ALL, "stages": {}})
    (run / "recipe.yml").write_text(files["good.yml"])
    shutil.copytree(run.path, work / OTHER)
    return work


def name_of(call: list[str]) -> str:
    return f"{call[0][:9]} {len(call)} {call[-1][:16]}".encode("ascii", "replace").decode()


@pytest.mark.parametrize("call", CALLS, ids=name_of)
def test_no_command_prints_or_writes_a_secret(work: Path, command_line: Callable[..., Any], call: list[str]) -> None:
    done = command_line(*call)
    assert done.code in (0, 1, 2, 3), done.err
    assert leaks([done.out, done.err], [work]) == {}


class Unraisable:
    def __del__(self) -> None:
        raise RuntimeError(ALL)


@pytest.fixture
def crashing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes `recipe ls` end with an internal error, after libraries have warned, logged and failed in another thread."""

    def fail(arguments: Any = None) -> None:
        raise RuntimeError(ALL) from ValueError(PLANTED["private key"])

    @click.command("ls")
    def command() -> None:
        handler = logging.StreamHandler()
        logging.getLogger("library").addHandler(handler)
        logging.getLogger("library").error("refused: %s", ALL)
        logging.getLogger("library").removeHandler(handler)
        warnings.warn(ALL, stacklevel=1)
        Unraisable()
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        fail()

    monkeypatch.setattr(main.LazyGroup, "get_command", lambda self, ctx, name: command)
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)  # pytest has its own
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", lambda *what: sys.stderr.write(warnings.formatwarning(*what[:4])))
        yield


def test_an_internal_error_prints_no_secret(work: Path, command_line: Callable[..., Any], crashing: None) -> None:
    done = command_line("ls")
    assert done.code == 70
    for words in (
        "This is a bug",
        "refused: [redacted]",
        "UserWarning",
        "Exception ignored in",
        "Exception in thread",
        "RuntimeError",
        "ValueError",
    ):
        assert words in done.err
    assert leaks([done.out, done.err], [work]) == {}


PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY")
BETWEEN = {
    "a proxy": dict.fromkeys(PROXIES, f"http://{ACCOUNT}"), "no proxy": dict.fromkeys(PROXIES, f"no-scheme://{ACCOUNT}"),
    "a mirror of the hub": {"HF_ENDPOINT": f"http://{ACCOUNT}"}, "no hub": {"HF_ENDPOINT": f"no-scheme://{ACCOUNT}"},
}  # fmt: skip


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize(
    "call", [["plan", GOOD], ["check", GOOD, "--data"], ["convert", "--converter", "messages", "hf:a/b", "--out", "o"]], ids=name_of
)
def test_what_stands_between_here_and_the_hub_is_named_without_its_password(
    work: Path, recipe: Recipe, between: str, call: list[str]
) -> None:
    home = {"HF_HOME": str(work / "home"), "HF_HUB_OFFLINE": "0", "HF_HUB_ETAG_TIMEOUT": "1"}
    done = recipe(*call, cwd=work, **home, **BETWEEN[between])
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr
    assert leaks([done.stdout, done.stderr], [work]) == {}


def test_what_is_imported_names_the_keys_that_it_lost(work: Path, command_line: Callable[..., Any]) -> None:
    """And says why, with the value masked: in the recipe's first lines, in the messages and in the JSON."""
    done = command_line("import", "../given/axolotl.yml", "--out", "axolotl.yml")
    assert "training.optimizer: [redacted]" in done.err and "training.optimizer: [redacted]" in Path("axolotl.yml").read_text()
    keys = json.loads(command_line("import", "../given/axolotl.yml", "--json").out)["keys"]
    assert {"hub_token", "wandb_api_key", "optimizer"} <= {key["key"] for key in keys}
