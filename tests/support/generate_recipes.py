"""Recipes that break the rules of the generate section, and recipes near them that do not; test_rules runs them with the others."""

from typing import Any

ROWS = [{"path": "generated:rows", "converter": "messages"}]
LOCAL = {"provider": "local", "model": "embedded:smollm2-135m-instruct"}
CLASSIFIER = {"provider": "classifier", "model": "m"}
OPEN = {"provider": "openai", "model": "m"}
PRICE = {"input": 1, "output": 2, "currency": "USD"}
OWN = {"provider": "openai_compatible", "model": "m", "base_url": "https://models.example.org/v1"}


def generate(**changes: Any) -> dict[str, Any]:
    """Changes to a minimal recipe that give it a sound generate section, but for these."""
    section = {"task": "ask", "prompt": "p.yml", "input": "rows.csv", "providers": [LOCAL]} | changes
    return {"data.sources": ROWS, "generate": {key: value for key, value in section.items() if value is not None}}


def asked(**changes: Any) -> dict[str, Any]:
    """The same with one provider of its own address."""
    return generate(providers=[{key: value for key, value in (OWN | changes).items() if value is not None}])


def judged(**changes: Any) -> dict[str, Any]:
    """Changes that give it a judge of replies; keys of the judge and of its provider."""
    section = {"prompt": "judge_counsellor"} | {key: changes.pop(key) for key in ("prompt", "limits") if key in changes}
    return {"evaluation.metrics": ["safety"], "evaluation.judge": {**section, "provider": OWN | changes}}


BREAKS: dict[str, list[tuple[dict[str, Any], list[str]]]] = {
    "generated_rows_are_read": [
        ({"data.sources": ROWS}, ["data.sources.0.path"]),
        (generate() | {"data.sources": [{"path": "generated:row", "converter": "messages"}]}, ["data.sources.0.path"]),
        (generate() | {"data.sources": [{"path": "rows.jsonl", "converter": "messages"}]}, ["generate"]),
    ],
    "generating_has_what_it_needs": [
        (generate(providers=None), ["generate"]),
        (generate(prompt=None), ["generate"]),
        (generate(task="self_cognition"), ["generate.providers", "generate.prompt"]),
        (generate(filters={"min_words": 9, "max_words": 3}), ["generate.filters.max_words"]),
        (generate(filters={"min_score": 3}), ["generate.filters.min_score"]),
    ],
    "generating_reads_what_it_needs": [
        (generate(task="label", providers=[CLASSIFIER]), ["generate.prompt"]),
        (generate(prompt=["a.yml", "b.yml"]), ["generate.prompt"]),
        (generate(task="scenarios", input=None, converter="lmsys"), ["generate.converter"]),
        (generate(converter_options={}) | {"generate.converter_options": {"last_only": True}}, ["generate.converter_options"]),
        (generate(input=None), ["generate"]),
        (generate(task="scenarios"), ["generate.input"]),
        (generate(task="scenarios", input=None, limit=3), ["generate.limit"]),
    ],
    "settings_of_requests_that_are_not_sent": [
        (generate(sampling={"temperature": 0, "top_p": 1}), ["generate.sampling.top_p"]),
        (generate(task="label", prompt=None, providers=[CLASSIFIER], sampling={}, seed=42, limits={"concurrency": 8}, filters={"keep_cut": False}),
         ["generate.sampling", "generate.seed", "generate.filters.keep_cut", "generate.limits"]),
        (generate(task="self_cognition", providers=None, prompt=None, filters={"min_words": 2}), ["generate.filters.min_words"]),
    ],
    "weights_of_one_provider": [
        (asked(weight=1), ["generate.providers.0.weight"]),
        (judged(weight=2), ["evaluation.judge.provider.weight"]),
    ],
    "classifiers_label": [
        (generate(task="label", prompt=None), ["generate.providers.0.provider"]),
        (generate(providers=[CLASSIFIER]), ["generate.providers.0.provider"]),
        (generate(task="label", prompt=None, providers=[CLASSIFIER, CLASSIFIER | {"model": "n"}]), ["generate.providers.1"]),
        (generate(task="label", prompt=None, providers=[CLASSIFIER | {"key_name": "KEY", "stream": False}]),
         ["generate.providers.0.key_name", "generate.providers.0.stream"]),
    ],
    "provider_address": [
        (asked(base_url=None), ["generate.providers.0"]),
        (asked(base_url=None, provider="openai", private_network=True), ["generate.providers.0.private_network"]),
        (asked(provider="local"), ["generate.providers.0.base_url"]),
        (asked(base_url="http://models.example.org/v1"), ["generate.providers.0.base_url"]),
        (asked(base_url="http://2130706433/v1"), ["generate.providers.0.base_url"]),
        (asked(base_url="https://me:secret@models.example.org/v1"), ["generate.providers.0.base_url"]),
        (asked(base_url="https://models.example.org/v1?key=secret"), ["generate.providers.0.base_url"]),
        (asked(base_url="https://[::1/v1"), ["generate.providers.0.base_url"]),
        (asked(base_url="file:///etc/passwd"), ["generate.providers.0.base_url"]),
        (judged(base_url="https://me:secret@models.example.org/v1"), ["evaluation.judge.provider.base_url"]),
        (judged(base_url="https://models.example.org/v1?api_key=secret"), ["evaluation.judge.provider.base_url"]),
        (judged(base_url="http://models.example.org/v1"), ["evaluation.judge.provider.base_url"]),
    ],
    "provider_key_is_a_name": [
        (asked(key_name="sk-0123456789abcdef"), ["generate.providers.0.key_name"]),
        (asked(key_name="MODEL_ACCESS"), ["generate.providers.0.key_name"]),
        (generate(providers=[LOCAL | {"key_name": "MY_KEY"}]), ["generate.providers.0.key_name"]),
    ],
    "costs_can_be_counted": [
        (generate(providers=[OPEN], limits={"max_cost": 5}), ["generate.providers.0"]),
        (generate(providers=[OPEN | {"price": PRICE}, OWN | {"price": PRICE | {"currency": "CNY"}}], limits={"max_cost": 5}),
         ["generate.limits.max_cost"]),
        (generate(judge={"prompt": "judge_useful", "provider": OPEN}, limits={"max_cost": 5}), ["generate.judge.provider"]),
        (judged(limits={"max_cost": 5}), ["evaluation.judge.provider"]),
    ],
    "judge_prompt_has_scales": [
        (generate(judge={"prompt": "no_such_prompt", "provider": OPEN}), ["generate.judge.prompt"]),
        (generate(judge={"prompt": "introspection", "provider": OPEN}), ["generate.judge.prompt"]),
        (judged(prompt="judge_useful"), ["evaluation.judge.prompt"]),
    ],
}  # fmt: skip

KEEPS: dict[str, list[dict[str, Any]]] = {
    "generated_rows_are_read": [generate(), {}],
    "generating_has_what_it_needs": [
        generate(),
        generate(task="scenarios", input=None),
        generate(task="self_cognition", providers=None, prompt=None),
        generate(task="self_cognition", options={"paraphrases": 3}),
        generate(filters={"min_words": 3, "max_words": 3}),
        generate(filters={"min_score": 3}, judge={"prompt": "judge_useful", "provider": OPEN}),
    ],
    "generating_reads_what_it_needs": [
        generate(task="scenarios", input=None, prompt=["a.yml", "b.yml"], min_rows=9),
        generate(converter="lmsys", converter_options={"languages": ["English"]}),
    ],
    "settings_of_requests_that_are_not_sent": [
        generate(sampling={"temperature": 0.5, "top_p": 1}, seed=42, limits={"concurrency": 8}),
        generate(task="label", prompt=None, providers=[CLASSIFIER], filters={"max_words": 9}),
        generate(
            task="label", prompt=None, providers=[CLASSIFIER], judge={"prompt": "judge_useful", "provider": OPEN}, limits={"retries": 1}
        ),
        generate(task="self_cognition", options={"paraphrases": 3}, seed=1),
    ],
    "weights_of_one_provider": [generate(providers=[LOCAL | {"weight": 1}, OPEN]), asked()],
    "classifiers_label": [generate(task="label", prompt=None, providers=[CLASSIFIER])],
    "provider_address": [
        asked(),
        asked(base_url="http://127.0.0.1:8000/v1"),
        asked(base_url="http://[::1]:8000/v1"),
        asked(base_url="http://10.0.0.7:8000/v1", private_network=True),
        generate(providers=[OPEN]),
        judged(),
    ],
    "provider_key_is_a_name": [asked(key_name="MY_API_KEY"), asked()],
    "costs_can_be_counted": [
        generate(providers=[OPEN | {"price": PRICE}, LOCAL], limits={"max_cost": 5}),
        generate(providers=[OPEN], limits={"max_tokens": 5}),
        generate(judge={"prompt": "judge_useful", "provider": OPEN, "limits": {"max_tokens": 9}}, limits={"max_cost": 5}),
        judged(price=PRICE, limits={"max_cost": 5}),
    ],
    "judge_prompt_has_scales": [generate(judge={"prompt": "judge_useful", "provider": OPEN}), judged()],
}
