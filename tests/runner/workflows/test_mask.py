"""`recipe mask` with the real tokenisation: what is trained is shown, and is the last reply with its end."""

import json
import shutil

import pytest

from ...support.jsonl import write_jsonl
from ...support.tiny import TEMPLATE, write_recipe

pytestmark = pytest.mark.train


def test_the_trained_text_is_the_last_reply_and_its_end(tmp_path, tiny_model, recipe):
    path = write_recipe(tmp_path, tiny_model)
    done = recipe("mask", path, "--rows", "6", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    data = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    for row in rows:
        source = data[int(row["id"].split(":")[1]) - 1]["messages"]
        trained = "".join(segment["text"] for segment in row["segments"] if segment["trained"])
        masked = "".join(segment["text"] for segment in row["segments"] if not segment["trained"])
        assert trained == source[-1]["content"] + "<|im_end|>"
        assert all(message["content"] in masked for message in source[:-1])
    assert any(len(data[int(row["id"].split(":")[1]) - 1]["messages"]) > 2 for row in rows)


@pytest.mark.parametrize(
    ("split", "sources", "there"),
    [("test", None, "--split train or validation"), ("train", "[{path: rows.jsonl, converter: emogpt, split: test}]", "--split test")],
)
def test_a_split_without_rows_is_reported_with_those_that_have_some(tmp_path, tiny_model, recipe, split, sources, there):
    path = write_recipe(tmp_path, tiny_model)
    changed = ["--set", f"data.sources={sources}"] if sources else []
    done = recipe("mask", path, "--split", split, *changed, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"the {split} split" in done.stderr and f"hint: use {there}" in done.stderr


def test_rows_that_the_trainer_would_refuse_for_their_length_are_named(tmp_path, tiny_model, recipe):
    done = recipe("mask", write_recipe(tmp_path, tiny_model), "--set", "training.sequence_len=16", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "chosen rows are longer than training.sequence_len (16): rows.jsonl:" in done.stderr
    assert "Traceback" not in done.stderr and "mask.log" not in done.stderr


def test_white_space_that_the_template_strips_is_shown_and_refused_where_the_recipe_keeps_it(tmp_path, tiny_model, recipe):
    path = write_recipe(tmp_path, tiny_model)
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    for row in rows:
        row["messages"][-1]["content"] += "\n\n"
    write_jsonl(tmp_path / "rows.jsonl", rows)
    model = shutil.copytree(tiny_model, tmp_path / "trimming")
    (model / "chat_template.jinja").write_text(TEMPLATE.replace("message['content']", "message['content'] | trim"), encoding="utf-8")
    options = (
        "--set",
        f"model.base_model={model}",
        "--set",
        "data.sources.0.converter=messages",
        "--set",
        "data.split.group_by=[]",
        "--rows",
        "2",
    )
    done = recipe("mask", path, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(r"the chat template leaves out white space at the ends of assistant messages: '\n\n'") == 2
    done = recipe("mask", path, *options, "--set", "data.whitespace=keep", cwd=tmp_path)
    assert done.returncode == 1 and "strips white space at the ends of the assistant message" in done.stderr


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (["model.chat_template=mistral_v3_tekken"],
         ["3 chosen rows", "mistral_v3_tekken leaves out words of the system message", "rows.jsonl:1 ('Be brief.')", "data.system_role: fold"]),
        (["model.chat_template=gemma"], ["gemma refuses 3 chosen rows", "System role not supported", "data.system_role: fold"]),
        (["model.chat_template=gemma", "data.system_role=fold", "model.end_of_turn=<end_of_turn>"], []),
    ],
    ids=["left out", "refused", "folded"],
)  # fmt: skip
def test_a_system_prompt_that_the_template_does_not_write_is_named(tmp_path, tiny_model, recipe, settings, parts):
    if not parts:
        settings = settings[:2]  # <end_of_turn> is no token of the tiny model: what is asked here is where the system prompt goes
    options = [option for setting in settings for option in ("--set", setting)]
    done = recipe("mask", write_recipe(tmp_path, tiny_model), *options, cwd=tmp_path)
    assert "Traceback" not in done.stderr
    assert all(part in done.stderr for part in parts)
    assert done.returncode == 1
    assert ("system" in done.stderr) == bool(parts)
