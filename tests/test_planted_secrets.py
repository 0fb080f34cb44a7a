"""Planted secrets of every known shape and name: no byte that a command leaves or prints holds one."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest
from recipekit.runner.evaluation.human_review import add_votes, make_review
from recipekit.runner.evaluation.judge import judge_all
from recipekit.runner.evaluation.probes import PROBES
from recipekit.runner.evaluation.rubric import judge_by_rubric
from recipekit.runner.launch.trackers import ENVIRONMENT as TRACKERS
from recipekit.runner.runtime.run_files import EVALUATING, METRICS, TOKENS
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.evaluation_sections import Rubric
from recipekit.schemas.generate_sections import Judge
from recipekit.schemas.values import built
from recipekit.schemas.yaml_writing import to_yaml

from .support.finished_runs import write_chat_run
from .support.jsonl import write_jsonl
from .support.llm_server import Quiet, reply, serving, status, then
from .support.planted import ELSEWHERE, ENVIRONMENT, PLANTED, leaks, make_repository, shapes
from .support.run_files import metrics_with
from .support.tiny import write_recipe

ALL = "\n".join(PLANTED.values())
NOISY = """
import os, sys, threading, time

with open(os.environ["ARGUMENTS"], "a") as file:
    print(*sys.orig_argv, file=file)

def print_all():
    print(os.environ["ALL_SHAPES"], [*os.environ.values()], flush=True)
    sys.stderr.write("\\r".join(os.environ["ALL_SHAPES"].splitlines()) + "\\n" + repr(os.environ["ALL_SHAPES"]) + "\\n")

def print_on():
    while threading.main_thread().is_alive():
        print_all()
        time.sleep(0.2)

if any("axolotl" in argument or "recipekit.runner.worker" in argument for argument in sys.orig_argv):
    print_all()
    threading.Thread(target=print_on).start()
"""


@pytest.fixture
def noisy(tmp_path, tmp_path_factory):
    """The environment of a training whose processes print every secret that they know, as libraries do by accident. Their arguments, which
    every user of the machine can read, are searched afterwards."""
    folder = tmp_path_factory.mktemp("noisy")
    (folder / "sitecustomize.py").write_text(NOISY)
    arguments = folder / "arguments"
    cache = {"RECIPEKIT_CACHE": str(tmp_path / "cache"), "HF_HOME": str(tmp_path / "cache"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    more = {"PYTHONPATH": str(folder), "ARGUMENTS": str(arguments), "ALL_SHAPES": ALL, "HF_HUB_OFFLINE": "1"}
    yield {**ENVIRONMENT, **ELSEWHERE, **cache, **more}
    assert "recipekit.runner" in arguments.read_text() and leaks([arguments.read_text()]) == {}


def test_the_search_finds_a_secret(tmp_path) -> None:
    (tmp_path / "log").write_text(PLANTED["aws"] + ENVIRONMENT["GH_PAT"])
    assert len(PLANTED) >= 30 and set(leaks([PLANTED["hub"]], [tmp_path])) == {"hub", "aws", "GH_PAT"}


@pytest.mark.train
@pytest.mark.long
def test_a_run_with_trackers_leaves_no_secret(recipe, tiny_model, tmp_path, noisy) -> None:
    """What stands in the rows of a further evaluation set, and in prompts, is the user's own text: it is kept as it is."""
    make_repository(tmp_path)
    write_recipe(tmp_path, tiny_model)
    own = [text for text in shapes("oWnD4t4oWnD4t4oW").values()]
    turns = [[{"role": "user", "content": f"what is number {n}?"}, {"role": "assistant", "content": text}] for n, text in enumerate(own)]
    write_jsonl(tmp_path / "further.jsonl", [{"messages": messages} for messages in turns])
    write_jsonl(tmp_path / "prompts.jsonl", [{"prompt": text} for text in own])
    settings = [
        "training.max_steps=4", "evaluation.max_rows=2", "training.trackers=[" + ", ".join(filter(find_spec, TRACKERS)) + "]",
        "evaluation.also={further: {sources: [{path: further.jsonl, converter: messages}], metrics: [perplexity]}}",
        "evaluation.prompts={path: prompts.jsonl, generation: {max_new_tokens: 2}}",
    ]  # fmt: skip
    done = recipe("run", "tiny.yml", *(part for text in settings for part in ("--set", text)), cwd=tmp_path, **noisy)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs").glob("tiny/*")
    logs = [(run / name).read_text() for name in ("train.log", "eval.log")]
    assert all("[redacted]" in log for log in logs) and all([*(run / name).iterdir()] for name in ("tensorboard", "wandb", "trackio"))
    assert leaks([done.stdout, done.stderr], [tmp_path / "runs", tmp_path / "cache"]) == {}
    rows = [json.loads(line) for line in (run / "eval" / "sets" / "further" / "rows.jsonl").read_text().splitlines()]
    assert [row["messages"][-1]["content"] for row in rows] == own
    assert [answer["prompt"] for answer in json.loads((run / "eval" / "metrics.json").read_bytes())["prompts"]["tuned"]] == own


@pytest.mark.train
def test_a_run_that_fails_leaves_no_secret(recipe, tiny_model, tmp_path, noisy) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    (model / "chat_template.jinja").write_text(f"{{{{ raise_exception({json.dumps(ALL)}) }}}}")
    make_repository(tmp_path)
    write_recipe(tmp_path, model)
    done = recipe("run", "tiny.yml", cwd=tmp_path, **noisy)
    assert done.returncode == 1 and "[redacted]" in done.stderr
    assert leaks([done.stdout, done.stderr], [tmp_path / "runs", tmp_path / "cache"]) == {}


def test_generating_leaves_no_secret_and_counts_redactions(recipe, tmp_path) -> None:
    (tmp_path / "prompt.yml").write_text("prompt: 1\nuser: 'Emotions in {text}?'\n")
    (tmp_path / "rows.csv").write_text("name,chinese,english\n" + "".join(f"s{n},第{n}句话,\n" for n in range(3)))
    with serving(then(status(500, ALL), reply(ALL), reply("love | joy"))) as server:
        (tmp_path / "r.yml").write_text(json.dumps({
            "recipe": 1, "name": "r", "model": {"base_model": "a/b"},
            "data": {"type": "chat", "sources": [{"path": "generated:rows", "converter": "introspection"}]},
            "training": {"adapter": "lora", "learning_rate": 1e-4},
            "generate": {"task": "ask", "prompt": "prompt.yml", "input": "rows.csv", "limits": {"concurrency": 1, "attempts": 1},
                         "providers": [{"provider": "openai_compatible", "model": "m", "base_url": server.url, "key_name": "X_KEY"}]},
        }))  # fmt: skip
        done = recipe("generate", "r.yml", cwd=tmp_path, **ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "runs" / "r" / "generated" / "manifest.json").read_bytes())
    assert manifest["redacted_replies"] == 1
    assert "1 reply contains what looks like a secret" in done.stderr
    assert (tmp_path / "runs" / "r" / "requests.sqlite").is_file()
    assert leaks([done.stdout, done.stderr], [tmp_path / "runs"]) == {}


@pytest.fixture
def replies(tmp_path, monkeypatch):
    """A run with a reply of each model to judge, in an environment of secrets."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    run = RunFolder(tmp_path / "runs" / "counsellor" / "one")
    messages = [{"role": "user", "content": "I cannot sleep."}, {"role": "assistant", "content": "Tell me more."}]
    for place in (EVALUATING, "eval"):
        write_jsonl(run / place / "rows.jsonl", [{"id": "1", "messages": messages}])
        write_jsonl(run / place / "predictions.jsonl", [{"model": model, "id": "1", "reply": model} for model in ("base", "tuned")])
    return run


def test_judging_leaves_no_secret(replies, tmp_path) -> None:
    run, display = replies, Quiet()

    def judged(behave, model):
        with serving(behave) as server:
            provider = {"provider": "openai_compatible", "model": model, "base_url": server.url, "key_name": "X_KEY"}
            limits = {"concurrency": 1, "attempts": 1, "retries": 1}
            return judge_all(run, built(Judge, {"prompt": "judge_counsellor", "provider": provider, "limits": limits}), 1, display)

    assert judged(then(status(500, ALL), reply(ALL)), "a")["redacted"] == 2
    assert "2 judgements contain what looks like a secret" in str(display.lines)
    with pytest.raises(UserError) as refused:
        judged(status(401, ALL), "b")
    assert leaks([str(refused.value), repr(refused.value), str(display.lines)], [tmp_path]) == {}


def test_a_rubric_leaves_no_secret_and_counts_what_it_replaced(replies, tmp_path) -> None:
    display = Quiet()
    with serving(reply(json.dumps({"warmth": 3}) + "\n" + ALL)) as server:
        judge = {"provider": "openai_compatible", "model": "m", "base_url": server.url, "key_name": "X_KEY"}
        rubric = {"criteria": {"warmth": {"text": "Is it warm?", "scale": "1_to_5"}}, "judges": [judge], "limits": {"attempts": 1}}
        (facts,) = judge_by_rubric(replies, built(Rubric, rubric), 1, display)
    assert (facts["judged"], facts["redacted"]) == (2, 2)
    assert leaks([str(display.lines), str(facts)], [tmp_path]) == {}


def test_votes_leave_no_secret(replies, tmp_path) -> None:
    review = make_review(replies, 1, 1)
    votes = tmp_path / "votes.json"
    votes.write_text(json.dumps({"review": review.name, "rater": f"Ada {ALL}", "votes": [{"item": 1, "preference": "A"}]}))
    kept = add_votes(replies, review, votes)
    assert json.loads(kept.read_bytes())["votes"] == [{"item": 1, "preference": "A"}]
    assert leaks([str(kept)], [replies.path]) == {}


@pytest.mark.train
def test_predicting_leaves_no_secret(recipe, tuned_run, tmp_path, noisy) -> None:
    rows = write_jsonl(tmp_path / "rows.jsonl", [{"messages": [{"role": "user", "content": "Where does the cat sleep?"}]}])
    done = recipe("predict", tuned_run, rows, "--out", "out.jsonl", "--converter", "messages", "--max-tokens", "4", cwd=tmp_path, **noisy)
    assert done.returncode == 0 and json.loads((tmp_path / "out.jsonl").read_bytes())["prediction"]["finish_reason"], done.stderr
    assert leaks([done.stdout, done.stderr], [tmp_path]) == {}


def test_a_push_that_fails_prints_no_secret(recipe, tuned_run, tmp_path) -> None:
    run = shutil.copytree(tuned_run, tmp_path / "run")
    text = (run / "recipe.yml").read_text()
    (run / "recipe.yml").write_text(re.sub(r"(?m)^model: .*$", "model: {base_model: owner/base}", text))
    (run / "model" / "README.md").write_text("---\nlicense: apache-2.0\nbase_model: owner/base\n---\n")
    with serving(lambda exchange: exchange.send("HTTP/1.1 500 X", {"error": ALL}, x_error_message=ALL.replace("\n", " "))) as server:
        hub = {"HF_ENDPOINT": server.url.removesuffix("/v1"), "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        done = recipe("push", run, "me/tiny", cwd=tmp_path, **{**ENVIRONMENT, **hub, "HF_TOKEN": PLANTED["hub"]})
    assert done.returncode == 1 and "the hub" in done.stderr
    assert leaks([done.stdout, done.stderr], [tmp_path]) == {}


def test_labels_that_look_like_secrets_stay_apart(tmp_path) -> None:
    """Intents of a help desk: with a mask for both, two labels would be one."""
    labels = ["password: forgotten", "password: expired", "api_key=rotated"]
    tokens = {"train": {"rows": 6, "trained_rows": 6, "labels": dict.fromkeys(labels, 2), "tokens": 9, "longest": 3, "long_rows": {}}}
    run = RunFolder(tmp_path)
    run.write(TOKENS, tokens)
    assert run.read(TOKENS) == tokens
    run.write(METRICS, {**metrics_with(), "labels": labels, "confusion": [[2, 0, 0], [0, 2, 0], [0, 0, 2]], "notes": labels[:1]})
    assert run.read(METRICS)["labels"] == labels and run.read(METRICS)["notes"] == ["password: [redacted]"]


@pytest.mark.parametrize("probe", ["prompts", "logit_lens"])
def test_prompts_that_look_like_secrets_are_kept(tmp_path, probe) -> None:
    """They are the user's own, as is what the models make of them; a label that was masked would be another one."""
    answers = [
        {"prompt": PLANTED["hub"], "reply": PLANTED["aws"], "label": "password: forgotten", "probabilities": {"password: expired": 1}}
    ]
    run, result = RunFolder(tmp_path), PROBES[probe].result
    run.write(PROBES[probe].file, {"key": "1", "base": answers, "tuned": answers})
    assert run.read(PROBES[probe].file)["tuned"] == answers
    run.write(METRICS, {**metrics_with(), result: {"base": answers, "tuned": answers}})
    assert json.loads((run / METRICS.name).read_bytes())[result]["tuned"] == answers


@pytest.mark.parametrize("name", ["password in an address", "token in an address", "parameter"])
def test_a_secret_in_an_address_is_not_printed(recipe, tmp_path, name) -> None:
    done = recipe("convert", "--converter", "messages", PLANTED[name], "--out", "out", cwd=tmp_path, **ENVIRONMENT)
    assert done.returncode == 1 and "[redacted]" in done.stderr
    assert leaks([done.stdout, done.stderr], [tmp_path]) == {}


@pytest.mark.parametrize("style", ["text", "json", "sarif", "github"])
def test_checking_prints_no_secret(recipe, minimal, tmp_path, style) -> None:
    """A key in a wrong place is quoted by the problem, which stands in the public log of a pull request."""
    bad = minimal(
        {"training.learning_rate": PLANTED["aws"], "evaluation.metrics": [*PLANTED.values()], **dict.fromkeys(PLANTED.values(), 1)}
    )
    (tmp_path / "bad.yml").write_text(to_yaml(bad))
    (tmp_path / "prompt.yml").write_text(to_yaml({"prompt": 1, "user": "{text}", "system": [ALL], **dict.fromkeys(PLANTED.values(), 1)}))
    done = recipe("check", "bad.yml", "prompt.yml", "--format", style, "--set", f"{PLANTED['hub']}=1", cwd=tmp_path, **ENVIRONMENT)
    alone = recipe("check", "prompt.yml", "--format", style, cwd=tmp_path, **ENVIRONMENT)
    assert (done.returncode, alone.returncode) == (1, 1) and "[redacted]" in done.stdout + done.stderr
    assert leaks([done.stdout, done.stderr, alone.stdout, alone.stderr]) == {}


def test_importing_prints_and_writes_no_secret(recipe, tmp_path) -> None:
    """Configurations of other tools have keys for tokens."""
    keys = {
        "hub_token": PLANTED["hub"],
        "wandb_api_key": PLANTED["aws"],
        "comet_api_key": PLANTED["json"],
        "mlflow_tracking_uri": PLANTED["parameter"],
    }
    data = {"base_model": "a/b", "datasets": [{"path": "rows.jsonl", "type": "chat_template"}], "learning_rate": 1e-4}
    (tmp_path / "axolotl.yml").write_text(to_yaml({**data, "adapter": "lora", "sequence_len": 64, **keys}))
    done = recipe("import", "axolotl.yml", "--out", "out.yml", cwd=tmp_path, **ENVIRONMENT)
    (tmp_path / "axolotl.yml").unlink()
    assert "hub_token" in done.stdout + done.stderr
    assert leaks([done.stdout, done.stderr], [tmp_path]) == {}


PAGE = """
import os
from types import SimpleNamespace
from recipekit.runner.inference.web_page import ChatPage
from recipekit.runner.inference.web_server import create_web_app
from recipekit.schemas.base.errors import UserError
from starlette.testclient import TestClient

class Refusing:
    models, settings, continues = (SimpleNamespace(name="tuned"),), SimpleNamespace(system="", system_note=""), False

    def with_messages(self, messages):
        return self

    def begin(self, line):
        raise UserError("cannot answer: " + os.environ["ALL_SHAPES"])

page = ChatPage(Refusing(), "tiny")
print(*page.answer("hello", [], []))
with TestClient(create_web_app(page.build()), base_url="http://127.0.0.1") as client:
    print(*(client.get(path).text for path in ("/", "/config", "/gradio_api/info", "/gradio_api/startup-events")))
"""


def test_the_page_of_a_chat_holds_no_secret() -> None:
    """Neither what it says of a refused message, nor its HTML, nor what Gradio tells of itself."""
    pytest.importorskip("gradio", reason="needs the extra [serve]: gradio")
    environment = {**os.environ, **ENVIRONMENT, "ALL_SHAPES": ALL}
    done = subprocess.run([sys.executable, "-c", PAGE], env=environment, capture_output=True, text=True)
    assert "no reply: cannot answer: [redacted]" in done.stdout and "elem_id" in done.stdout, done.stderr
    assert leaks([done.stdout, done.stderr]) == {}


def test_what_looks_like_a_secret_in_ones_own_data_is_kept(recipe, tmp_path) -> None:
    """It is the user's text: it is converted, listed, shown and voted on as it is. Only messages of recipekit itself are redacted."""
    own = {name: text.replace("\n", " ") for name, text in PLANTED.items()}
    messages = [[{"role": "user", "content": f"what is {name}?"}, {"role": "assistant", "content": text}] for name, text in own.items()]
    write_jsonl(tmp_path / "rows.jsonl", [{"messages": turns} for turns in messages])
    run = write_chat_run(tmp_path, [f"It is {text}." for text in own.values()])
    (run / "recipe.yml").write_text("name: tiny\n")

    converted = recipe("convert", "--converter", "messages", "rows.jsonl", "--out", "data", cwd=tmp_path)
    assert converted.returncode == 0, converted.stderr
    assert [json.loads(line)["messages"] for line in (tmp_path / "data" / "train.jsonl").read_text().splitlines()] == messages
    inspected = recipe("data", "inspect", "data", "--out", "page", "--samples", "50", cwd=tmp_path)
    assert inspected.returncode == 0, inspected.stderr
    reviewed = recipe("review", "tiny", "--out", "review.html", cwd=tmp_path)
    assert reviewed.returncode == 0, reviewed.stderr
    assert recipe("report", "tiny", cwd=tmp_path).returncode == 0
    kept = {"data/train.jsonl": own, "page/samples/all_rows.jsonl": own, "review.html": {}, "runs": {}}
    for place, expected in kept.items():
        path = tmp_path / place
        text = path.read_text() if path.is_file() else "".join(file.read_text() for file in path.rglob("*.jsonl"))
        assert "[redacted]" not in text and leaks([text]).keys() >= expected.keys(), place
    assert leaks([done for ran in (converted, inspected, reviewed) for done in (ran.stdout, ran.stderr)]) == {}
