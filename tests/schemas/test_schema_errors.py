"""What breaks the schema, in words: the place, what is wrong, and what to write instead."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.schemas.base.errors import MAX_PROBLEMS
from recipekit.schemas.json_schema import schema
from recipekit.schemas.schema_errors import explain
from recipekit.schemas.yaml_source import Document, parse_yaml

from ..support.counting import within_lines

HEAD = "recipe: 1\nname: small\nmodel: {base_model: m}\ndata: {type: chat, sources: [{path: a, converter: messages}]}\n"


def messages(tail: str, head: str = HEAD) -> list[str]:
    return [str(problem) for problem in explain(parse_yaml(head + tail, "r.yml"), schema("recipe"))]


def of_training(line: str) -> list[str]:
    return messages(f"training:\n  adapter: lora\n  learning_rate: 1e-4\n  {line}\n")


LINES = {
    "lora_rank: 8": "unknown key 'lora_rank' in training\n    hint: did you mean 'lora_r'?",
    "lora_r: '8'": "training.lora_r: expected a whole number, got '8'\n    hint: write a plain number, without quotes or unit",
    "lora_r: 8k": "training.lora_r: expected a whole number, got '8k'\n    hint: write a plain number, without quotes or unit",
    "lora_r: 1.5": "training.lora_r: expected a whole number, got 1.5",
    "lora_r: 0": "training.lora_r: 0 is below the minimum, 1\n    hint: Rank of the adapter.",
    "lora_r: true": "training.lora_r: expected a whole number, got true",
    "lora_r:": "training.lora_r: expected a whole number, got nothing\n    hint: give it a value, or remove the key if it is optional",
    "lora_r: [8]": "training.lora_r: expected a whole number, got a list",
    "sample_packing: 'true'": "training.sample_packing: expected true or false, got 'true'\n    hint: write true, without quotes",
    "trackers:": "training.trackers: expected a list, got nothing\n    hint: give it a value, or remove the key if it is optional",
    "sample_packing: yes": "training.sample_packing: expected true or false, got 'yes'\n    hint: write true",
    "sample_packing: No": "training.sample_packing: expected true or false, got 'No'\n    hint: write false",
    "sample_packing: 1": "training.sample_packing: expected true or false, got 1",
    "lr_scheduler: cosin": "training.lr_scheduler: 'cosin' is not allowed here\n    hint: did you mean 'cosine'?",
    "precision: 16": "training.precision: 16 is not allowed here\n    hint: did you mean 'fp16'?",
    "precision: true": (
        "training.precision: true is not allowed here\n"
        "    hint: one of: auto, bf16, fp16, fp32 (quote the word to make it text)"
    ),
    "warmup_ratio: 1.5": "training.warmup_ratio: 1.5 is above the maximum, 1",
    "max_grad_norm: 0": "training.max_grad_norm: 0 must be greater than 0",
    "adam_beta1: 1": "training.adam_beta1: 1 must be less than 1",
    "roles_to_train: []": "training.roles_to_train: needs at least 1 item",
    "roles_to_train: user": "training.roles_to_train: expected a list, got 'user'\n    hint: write a list: [user]",
    "trackers: [wandb, wandb]": "training.trackers: duplicate item",
    "metric_for_best_model: ''": "training.metric_for_best_model: must not be empty",
    "metric_for_best_model: 1.10": (
        "training.metric_for_best_model: expected text, got 1.1\n"
        "    hint: put it in quotes: without them it is read as a number"
    ),
    "metric_for_best_model: true": (
        "training.metric_for_best_model: expected text, got true\n"
        "    hint: put it in quotes: without them it is read as true or false"
    ),
    "lora_target_modules: all": "training.lora_target_modules: expected 'all-linear', got 'all'\n    hint: write all-linear, or a list: [all]",
    "lora_target_modules: []": "training.lora_target_modules: needs at least 1 item",
    "class_weights: {a: 0}": "training.class_weights.a: 0 must be greater than 0",
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_wrong_line_is_reported_with_its_place_and_remedy(line: str) -> None:
    (problem,) = of_training(line)
    assert problem.startswith("r.yml:8:")
    assert problem.partition(": ")[2].startswith(LINES[line])


def test_a_problem_points_at_the_wrong_key_or_value() -> None:
    assert of_training("lora_rank: 8")[0].startswith("r.yml:8:3:")
    assert of_training("lora_r: 0")[0].startswith("r.yml:8:11:")


def test_every_error_is_reported_at_once_in_the_order_of_the_file() -> None:
    problems = messages(
        "training:\n  adaptr: lora\n  lora_r: x\nevaluation: {metrics: [nope], gates: {perplexty: {max: 3}, stop_rate: {}}}\nextra: 1\n"
    )
    assert [problem.splitlines()[0] for problem in problems] == [
        "r.yml:5:1: missing key 'learning_rate' in training",
        "r.yml:6:3: unknown key 'adaptr' in training",
        "r.yml:7:11: training.lora_r: expected a whole number, got 'x'",
        "r.yml:8:24: evaluation.metrics.0: 'nope' is not allowed here",
        "r.yml:8:39: unknown key 'perplexty' in evaluation.gates",
        "r.yml:8:71: evaluation.gates.stop_rate: must not be empty",
        "r.yml:9:1: unknown key 'extra'",
    ]


def test_a_missing_version_gets_a_hint() -> None:
    (problem,) = messages("training: {adapter: lora, learning_rate: 1}", HEAD.removeprefix("recipe: 1\n"))
    assert problem == "r.yml:1:1: missing key 'recipe'\n    hint: add `recipe: 1`"


def test_another_version_is_refused() -> None:
    (problem,) = messages("training: {adapter: lora, learning_rate: 1}", HEAD.replace("recipe: 1", "recipe: 2"))
    assert problem == "r.yml:1:9: recipe: expected 1, got 2\n    hint: write 1"


def test_a_name_of_the_wrong_form_is_described() -> None:
    (problem,) = messages("training: {adapter: lora, learning_rate: 1}", HEAD.replace("small", "Not Good"))
    assert "name: 'Not Good' has the wrong format\n    hint: Name of the experiment: lower-case letters" in problem


def test_an_option_of_a_converter_is_checked_against_that_converter() -> None:
    head = HEAD.replace("converter: messages}", "converter: messages, options: {mesages_key: conv}}")
    (problem,) = messages("training: {adapter: lora, learning_rate: 1}", head)
    assert "unknown key 'mesages_key' in data.sources.0.options\n    hint: did you mean 'messages_key'?" in problem


def test_smoke_takes_sections_only() -> None:
    problems = messages("training: {adapter: lora, learning_rate: 1}\nsmoke: {name: x, trainin: {}}")
    assert "r.yml:6:18: unknown key 'trainin' in smoke\n    hint: did you mean 'training'?" in problems


def test_long_values_and_keys_are_cut() -> None:
    problems = messages(f"training: {{adapter: lora, learning_rate: {'x' * 900}}}\n{'y' * 900}: 1")
    assert len(problems) == 2
    assert all(len(problem) < 200 for problem in problems)


Hostile = Callable[[], dict[str, Any]]
HOSTILE: dict[str, Hostile] = {
    "30 000 unknown keys": lambda: {"training": {f"learning_rat_{i}": i for i in range(30_000)}},
    "30 000 metrics that cannot be sorted": lambda: {"evaluation": {"metrics": [{"a": i} if i % 2 else i for i in range(30_000)]}},
    "30 000 wrong sources": lambda: {"data": {"sources": [{"path": 3, "convertr": "x"}] * 30_000}},
    "30 000 wrong gates": lambda: {"evaluation": {"gates": {f"perplexit{i}": 3 for i in range(30_000)}}},
    "30 000 wrong names of layers": lambda: {"training": {"lora_target_modules": list(range(30_000))}},
    "a value of a megabyte": lambda: {"training": {"adapter": "q" * 1_000_000}},
    "deep nesting": lambda: {"training": {"adapter": eval("[" * 60 + "]" * 60)}},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_explained_soon(name: str) -> None:
    problems = within_lines(6_000_000, explain, Document(HOSTILE[name](), {}, {}), schema("recipe"))
    assert 0 < len(problems) <= MAX_PROBLEMS + 1
    assert sum(len(str(problem)) for problem in problems) < 100_000


def test_numbers_beyond_64_bits_in_a_list_are_refused_like_others() -> None:
    assert of_training("trackers: [100000000000000000000, 1]")[0].startswith(
        "r.yml:8:14: training.trackers.0: 100000000000000000000 is not allowed"
    )


def test_a_long_list_of_problems_is_cut_with_a_note() -> None:
    problems = explain(Document({f"k{i}": i for i in range(500)}, {}, {}), schema("recipe"))
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1].what == "more than 100 problems: the rest are not listed"


def test_a_misspelt_key_that_must_be_there_is_one_problem_and_not_two():
    given = "recipe: 1\nname: small\nmodel: {base_modle: m}\ndata: {type: chat, sources: [{path: a, convertor: messages}]}\n"
    assert messages("training: {adapter: lora, learning_rate: 1e-4}", given) == [
        "r.yml:3:9: unknown key 'base_modle' in model\n    hint: did you mean 'base_model'?",
        "r.yml:4:40: unknown key 'convertor' in data.sources.0\n    hint: did you mean 'converter'?",
    ]


def test_a_missing_key_next_to_an_unknown_one_is_reported_as_well():
    whats = [problem.partition("\n")[0] for problem in messages("training: {adapter: lora, colour: red}")]
    assert whats == ["r.yml:5:1: missing key 'learning_rate' in training", "r.yml:5:27: unknown key 'colour' in training"]


@given(st.sampled_from(["recipe", "name", "model", "data", "training"]), st.sampled_from(["", "base_model", "type", "sources", "adapter"]))
def test_a_missing_key_comes_with_a_line_that_can_be_added(section: str, key: str) -> None:
    """The proposed line is a valid value, whichever key is missing."""
    whole: dict[str, Any] = {
        "recipe": 1, "name": "r", "model": {"base_model": "m"}, "training": {"adapter": "lora", "learning_rate": 1e-4},
        "data": {"type": "chat", "sources": [{"path": "a", "converter": "messages"}]},
    }  # fmt: skip
    inner = isinstance(whole[section], dict) and key in whole[section]
    del (whole[section] if inner else whole)[key if inner else section]
    (problem,) = explain(Document(whole, {}, {}), schema("recipe"))
    line = parse_yaml(re.findall("`(.*?)`", problem.hint)[0], "line.yml").data
    (whole[section] if inner else whole).update(line)
    assert explain(Document(whole, {}, {}), schema("recipe")) == []
