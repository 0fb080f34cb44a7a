"""No key of evaluation, export and generate is ignored, wherever it is written: it changes what is asked and computed, or is refused.

Keys and values are taken from the schema, so that a new key is tried without being listed here. tests/runner/launch/test_every_key.py does
the same for the training.
"""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from recipekit.runner.evaluation.probes import requested_probes
from recipekit.runner.evaluation.rubric import rubric_prompt
from recipekit.runner.generate.job import Job
from recipekit.runner.providers.endpoints import endpoint
from recipekit.runner.providers.judge import Scorer
from recipekit.runner.stages.predictions import predictions_key
from recipekit.schemas.generate_sections import Generate, Limits, Provider
from recipekit.schemas.json_schema import schema, subschema
from recipekit.schemas.rules import findings
from recipekit.schemas.sections import Evaluation, Recipe
from recipekit.schemas.values import is_written

from ...support.every_key import ignored
from ...support.generate_recipes import CLASSIFIER, LOCAL, OPEN, OWN

SECTIONS = ("evaluation", "export", "generate")
MORE = {"plain": {"sources": [{"path": "/s", "converter": "messages"}], "metrics": ["perplexity"]}}
JUDGE = {"prompt": "judge_counsellor", "provider": OPEN}
RUBRIC = {"criteria": {"kind": {"text": "Is it kind?"}}}
EVALUATIONS: dict[str, dict[str, Any]] = {
    "losses": {},
    "replies": {"metrics": ["stop_rate", "perplexity"]},
    "sampled": {"metrics": ["stop_rate"], "generation": {"temperature": 1}},
    "a judge": {"metrics": ["safety"], "judge": JUDGE},
    "a judge with limits": {"metrics": ["safety"], "judge": JUDGE | {"limits": {"retries": 1}}},
    "a rubric": {"rubric": RUBRIC},
    "a judged rubric": {"rubric": RUBRIC | {"judges": [OPEN, OWN]}},
    "prompts": {"prompts": {"texts": ["Hi"]}},
    "sampled prompts": {"prompts": {"texts": ["Hi"], "generation": {"temperature": 1}}},
    "prompts of their own": {"prompts": {"texts": ["Hi"], "generation": {}}},
    "sentiment": {"sentiment_model": "/m"},
    "labels": {"metrics": ["accuracy"], "labels": ["a", "b"]},
    "a set": {"also": MORE},
    "a set of replies": {"also": {"plain": MORE["plain"] | {"metrics": ["stop_rate"]}}},
    "a set of short replies": {"also": {"plain": MORE["plain"] | {"metrics": ["stop_rate"], "max_new_tokens": 5}}},
}
GENERATED: dict[str, dict[str, Any]] = {
    "ask": {"task": "ask", "prompt": "judge_useful", "input": "rows.jsonl", "providers": [OPEN]},
    "ask two": {"task": "ask", "prompt": "judge_useful", "input": "rows.jsonl", "providers": [LOCAL, OWN]},
    "greedy": {"task": "ask", "prompt": "judge_useful", "input": "rows.jsonl", "providers": [LOCAL], "sampling": {"temperature": 0}},
    "judged": {"task": "ask", "prompt": "judge_useful", "input": "rows.jsonl", "providers": [OPEN], "judge": JUDGE},
    "label": {"task": "label", "input": "rows.jsonl", "providers": [CLASSIFIER]},
    "judged labels": {"task": "label", "input": "rows.jsonl", "providers": [CLASSIFIER], "judge": JUDGE},
    "a list": {"task": "self_cognition", "input": "rows.jsonl"},
    "paraphrases": {"task": "self_cognition", "input": "rows.jsonl", "options": {"paraphrases": 2}, "prompt": "self_cognition", "providers": [OPEN]},
    "scenarios": {"task": "scenarios", "prompt": "emollm_single_turn", "providers": [OPEN]},
}  # fmt: skip


def recipe(**sections: Any) -> dict[str, Any]:
    return {"recipe": 1, "name": "r", "model": {"base_model": "m/m"}, "data": {"type": "chat", "sources": [{"path": "/rows", "converter": "messages"}]},
            "training": {"adapter": "lora", "learning_rate": 1e-4}} | sections  # fmt: skip


def bases() -> dict[str, dict[str, Any]]:
    made = {name: recipe(evaluation={"metrics": ["perplexity"]} | changes) for name, changes in EVALUATIONS.items()}
    for kind, converter, metric in (("text", "text", "perplexity"), ("classification", "table", "accuracy")):
        for name in ("losses", "prompts"):
            made[f"{kind}, {name}"] = recipe(
                data={"type": kind, "sources": [{"path": "/rows", "converter": converter}]},
                evaluation=EVALUATIONS[name] | {"metrics": [metric]},
            )
    made["no adapter"] = recipe(training={"adapter": "none", "learning_rate": 1e-4}, export={})
    rows = {"type": "chat", "sources": [{"path": "generated:rows", "converter": "messages"}]}
    return made | {f"generate, {name}": recipe(data=rows, generate=section) for name, section in GENERATED.items()}


BASES = bases()
MAPPINGS = ("gates", "also", "options", "converter_options", "judges", "criteria")  # of names and lists, whose entries are keys


def leaves(values: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all keys that the recipe has or could have: in lists and under names, those of its own entries."""
    node = subschema(schema("recipe"), at)
    parts: dict[Any, Any] = {}
    if isinstance(values, list):
        parts = dict(enumerate(values)) if values and isinstance(values[0], dict) else {}
    elif "properties" in node and (values is not None or not node.get("required")):
        parts = {key: (values or {}).get(key) for key in node["properties"]}
    elif isinstance(node.get("additionalProperties"), dict):
        parts = values or {}
    if not parts:
        yield at
    for key, value in parts.items():
        yield from leaves(value, (*at, key))


def asked(provider: Provider, limits: Limits) -> Any:
    """What a provider gets and how; a classifier runs on this machine, without requests."""
    if provider.provider == "classifier":
        return provider.model, provider.price
    address = endpoint(provider, with_key=False)
    return [field for field in zip(address._fields, address, strict=True) if field[0] != "weight"], provider.key_name, limits


def evaluated(made: Recipe) -> list[Any]:
    """What the evaluation is made from, as its own parts see it."""
    evaluation: Evaluation = made.evaluation
    sets = {name: (predictions_key(made.of_set(name), "", 0), made.of_set(name).data, found.max_rows, found.metrics, found.labels, found.gates)
            for name, found in evaluation.also.items()}  # fmt: skip
    scored = (
        evaluation.metrics,
        evaluation.labels,
        evaluation.gates,
        evaluation.confidence,
        made.data.type != "classification" and evaluation.seen_by,
    )
    judged: list[Any] = []
    if evaluation.judge:
        scorer = Scorer.of(evaluation.judge, Limits(), evaluation.generation.seed)
        judged = [scorer.prompt, scorer.judge.max_new_tokens, asked(evaluation.judge.provider, scorer.limits)]
    if rubric := evaluation.rubric:
        limits = rubric.limits or Limits()
        judged += [rubric_prompt(rubric), rubric.gates, [(asked(judge, limits), rubric.max_new_tokens) for judge in rubric.judges]]
    return [predictions_key(made, "", 0), sets, scored, judged, requested_probes(made)]


def generated(generate: Generate) -> list[Any]:
    """What generating is made from: its requests, who is asked, and what happens to the replies."""
    job = Job.of(generate)
    everyone = [endpoint(provider, with_key=False) for provider in generate.providers]
    sent = [job.asked(request, 0, everyone) for request in job.requests()]
    is_label = generate.task == "label"
    replies: list[Any] = [request.messages for _, request in sent] if is_label else [request for _, request in sent]
    if sent:
        shares = [provider.weight for provider in generate.providers] if len(everyone) > 1 else []
        replies += [shares, [asked(provider, generate.limits) for provider in generate.providers]]
        replies.append(generate.filters._replace(keep_cut=generate.filters.keep_cut and not is_label, min_score=None))
    if sent and generate.judge:
        scorer = Scorer.of(generate.judge, generate.limits, generate.seed)
        judge = scorer.judge._replace(provider=None, limits=None)  # pyright: ignore[reportArgumentType]
        replies += [judge, scorer.prompt, scorer.seed, asked(generate.judge.provider, scorer.limits), generate.filters.min_score]
    return [[*job.items()], replies, generate.min_rows, generate.max_dropped]


def facts(values: dict[str, Any]) -> str:
    made = Recipe.from_values(copy.deepcopy(values))
    exported = (made.training.adapter != "none" and made.export.merge, made.export.push_to_hub)
    return repr((evaluated(made), exported, made.generate and generated(made.generate)))


@pytest.fixture(scope="module", autouse=True)
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    (folder / "rows.jsonl").write_text('{"question": "Why?", "answer": "So.", "text": "Why?", "name": "a", "chinese": "Why?"}\n' * 9)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.mark.parametrize("name", BASES)
def test_every_key_that_is_accepted_matters(name):
    values = BASES[name]
    assert findings(values) == [], "the recipe itself is accepted"
    paths = [path for path in leaves(values) if path[0] in SECTIONS and path[-1] not in MAPPINGS and not is_written(values, path)]
    assert [".".join(map(str, path)) for path in paths if ignored(path, values, facts)] == []
