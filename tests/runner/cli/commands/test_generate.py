"""`recipe generate` and `recipe serve` as a person runs them."""

import json
import re

import pytest

from ....support.llm_server import KEY, reply, serving, status

RECIPE = """recipe: 1
name: asked
model: {{base_model: some/model}}
generate:
  task: ask
  prompt: introspection
  input: rows.csv
  options: {{runs: 2}}
  providers: [{{provider: openai_compatible, model: m, base_url: "{url}", key_name: PLANTED_API_KEY}}]
data:
  type: chat
  sources: [{{path: generated:rows, converter: introspection}}]
  split: {{validation: 0.5}}
training: {{adapter: lora, learning_rate: 1e-4}}
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A recipe that asks the server at this address, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLANTED_API_KEY", KEY)
    (tmp_path / "rows.csv").write_text("name,chinese,english\na,你好,\nb,,\nc,再见,\n", encoding="utf-8")

    def write(url="https://models.example.org/v1"):
        (tmp_path / "asked.yml").write_text(RECIPE.format(url=url), encoding="utf-8")
        return "asked.yml"

    return write


def test_rows_are_generated_then_converted_with_a_full_account(written, command_line, tmp_path) -> None:
    with serving(reply("love | joy")) as server:
        outcome = command_line("generate", written(server.url), "--json")
        assert outcome.code == 0
        manifest = json.loads(outcome.out)
        assert (manifest["rows_in"], manifest["rows_kept"], manifest["dropped"]) == (5, 4, {"empty_text": 1})
        again = command_line("generate", "asked.yml")
        assert "5 in (4 requests), 4 kept as 4 rows; dropped: 1 empty text" in again.err
        assert len(server.asked) == 4
    converted = command_line("convert", "asked.yml", "--out", "data", "--json")
    assert json.loads(converted.out)["rows_kept"] == 4
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY not in outcome.err + again.err + converted.err


@pytest.mark.parametrize("arguments", [("convert", "{}"), ("data", "inspect", "{}"), ("data", "leaks", "{}", "{}")], ids=" ".join)
def test_generated_rows_are_found_in_the_folder_of_runs(written, command_line, arguments) -> None:
    arguments = [argument.format(written()) for argument in arguments]
    with serving(reply("love | joy")) as server:
        assert command_line("generate", written(server.url), "--runs-dir", "elsewhere").code == 0
    assert "have not been generated yet" in command_line(*arguments).err
    outcome = command_line(*arguments, "--runs-dir", "elsewhere")
    assert "have not been generated yet" not in outcome.err and outcome.code in (0, 3), outcome.err


def test_a_dry_run_counts_without_requests(written, command_line) -> None:
    outcome = command_line("generate", written(), "--dry-run")
    assert outcome.code == 0
    assert outcome.out.startswith("4 requests; dropped: 1 empty text\n")
    facts = json.loads(command_line("generate", "asked.yml", "--dry-run", "--json").out)
    assert facts["providers"][0]["requests"] == 4


def test_a_spending_limit_exits_3_and_a_refusing_provider_1(written, command_line) -> None:
    with serving(reply()) as server:
        outcome = command_line("generate", written(server.url), "--set", "generate.limits.max_requests=2")
        assert outcome.code == 3
        assert "limits.max_requests: 2" in outcome.err
    with serving(status(401, f"bad key {KEY}")) as server:
        outcome = command_line("generate", written(server.url))
        assert outcome.code == 1
        assert "status 401" in outcome.err
        assert KEY not in outcome.err


def test_every_missing_key_is_named_at_once_also_the_judges(command_line, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DASHSCOPE_API_KEY", "QIANFAN_API_KEY", "ZHIPUAI_API_KEY", "ZHIPU_API_KEY", "SPARK_API_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    outcome = command_line(
        "generate", "emollm_generate", "--set", "generate.judge.provider={provider: openai, model: m, key_name: JUDGES_KEY}"
    )
    assert outcome.code == 1
    named = re.findall(r"no key for (\w+): ", outcome.err)
    assert named == ["dashscope", "qianfan", "zhipu", "spark", "openai"]


def test_missing_sections_and_rows_are_reported(written, command_line) -> None:
    assert "has no generate section" in command_line("generate", "quickstart").err
    converted = command_line("convert", written())
    assert converted.code == 1
    assert "hint: run recipe generate" in converted.err


def test_a_key_that_was_pasted_into_the_recipe_is_refused_and_not_repeated(written, command_line, tmp_path) -> None:
    written()
    text = (tmp_path / "asked.yml").read_text().replace("PLANTED_API_KEY", KEY)
    (tmp_path / "asked.yml").write_text(text)
    outcome = command_line("generate", "asked.yml")
    assert outcome.code == 1
    assert "is not the name of an environment variable" in outcome.err
    assert KEY not in outcome.err


def test_a_server_for_other_machines_needs_a_key(command_line, monkeypatch) -> None:
    monkeypatch.delenv("RECIPEKIT_API_KEY", raising=False)
    outcome = command_line("serve", "some/model", "--host", "0.0.0.0")
    assert outcome.code == 1
    assert "RECIPEKIT_API_KEY" in outcome.err


def test_a_port_that_is_taken_is_reported_before_a_model_is_loaded(command_line, tiny_model) -> None:
    with serving(reply()) as server:
        outcome = command_line("serve", str(tiny_model), "--port", server.port)
    assert outcome.code == 1
    assert "cannot listen on" in outcome.err
