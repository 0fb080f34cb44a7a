"""Planted secrets of every known shape and name: no byte that a command leaves or prints holds one."""

import json
import re
import shutil

import pytest
from recipekit.runner.evaluation.human_review import add_votes, make_review
from recipekit.runner.evaluation.judge import judge_all
from recipekit.runner.evaluation.rubric import judge_by_rubric
from recipekit.runner.runtime.run_files import EVALUATING
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.evaluation_sections import Rubric
from recipekit.schemas.generate_sections import Judge

from .support.llm_server import Quiet, reply, serving, status, then
from .support.planted import ENVIRONMENT, PLANTED, leaks
from .support.tiny import write_jsonl, write_recipe

ALL = "\n".join(PLANTED.values())
NOISY = """
import os, sys
if any("axolotl" in argument or "recipekit.runner.worker" in argument for argument in sys.orig_argv):
    print(os.environ["ALL_SHAPES"], [*os.environ.values()], flush=True)
    sys.stderr.write("\\r".join(os.environ["ALL_SHAPES"].splitlines()) + "\\n" + repr(os.environ["ALL_SHAPES"]) + "\\n")
"""


@pytest.fixture
def noisy(tmp_path):
    """The environment of a training whose processes print every secret that they know, as libraries do by accident."""
    (tmp_path / "noisy").mkdir()
    (tmp_path / "noisy" / "sitecustomize.py").write_text(NOISY)
    cache = {"RECIPEKIT_CACHE": str(tmp_path / "cache"), "HF_HOME": str(tmp_path / "cache"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return {**ENVIRONMENT, **cache, "PYTHONPATH": str(tmp_path / "noisy"), "ALL_SHAPES": ALL, "HF_HUB_OFFLINE": "1"}


def test_the_search_finds_a_secret(tmp_path) -> None:
    (tmp_path / "log").write_text(PLANTED["aws"] + ENVIRONMENT["GH_PAT"])
    assert len(PLANTED) >= 30 and set(leaks([PLANTED["hub"]], [tmp_path])) == {"hub", "aws", "GH_PAT"}


@pytest.mark.train
@pytest.mark.long
def test_a_run_with_trackers_leaves_no_secret(recipe, tiny_model, tmp_path, noisy) -> None:
    write_recipe(tmp_path, tiny_model)
    settings = ["training.max_steps=4", "evaluation.max_rows=2", "training.trackers=[tensorboard, wandb]"]
    done = recipe("run", "tiny.yml", *(part for text in settings for part in ("--set", text)), cwd=tmp_path, **noisy)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs").glob("tiny/*")
    assert "[redacted]" in (run / "train.log").read_text()
    assert leaks([done.stdout, done.stderr], [tmp_path / "runs", tmp_path / "cache"]) == {}


@pytest.mark.train
def test_a_run_that_fails_leaves_no_secret(recipe, tiny_model, tmp_path, noisy) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    (model / "chat_template.jinja").write_text(f"{{{{ raise_exception({json.dumps(ALL)}) }}}}")
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
            return judge_all(run, Judge.from_values({"prompt": "judge_counsellor", "provider": provider, "limits": limits}), 1, display)

    assert judged(then(status(500, ALL), reply(ALL)), "a").redacted == 2
    assert "2 judgements contain what looks like a secret" in str(display.lines)
    with pytest.raises(UserError) as refused:
        judged(status(401, ALL), "b")
    assert leaks([str(refused.value), repr(refused.value), str(display.lines)], [tmp_path]) == {}


def test_a_rubric_leaves_no_secret_and_counts_what_it_replaced(replies, tmp_path) -> None:
    display = Quiet()
    with serving(reply(json.dumps({"warmth": 3}) + "\n" + ALL)) as server:
        judge = {"provider": "openai_compatible", "model": "m", "base_url": server.url, "key_name": "X_KEY"}
        rubric = {"criteria": {"warmth": {"text": "Is it warm?", "scale": "1_to_5"}}, "judges": [judge], "limits": {"attempts": 1}}
        (facts,) = judge_by_rubric(replies, Rubric.from_values(rubric), 1, display)
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
    shutil.rmtree(tmp_path / "noisy")
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


@pytest.mark.parametrize("name", ["password in an address", "token in an address", "parameter"])
def test_a_secret_in_an_address_is_not_printed(recipe, tmp_path, name) -> None:
    done = recipe("convert", "--converter", "messages", PLANTED[name], "--out", "out", cwd=tmp_path, **ENVIRONMENT)
    assert done.returncode == 1 and "[redacted]" in done.stderr
    assert leaks([done.stdout, done.stderr], [tmp_path]) == {}
