"""Rules across the keys of the generate section; schemas/rules.py includes them."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from .base.errors import UserError
from .base.loopback import LOOPBACK
from .findings import Finding, no_effect
from .generate_sections import Filters, Generate, Judge, Limits, Provider
from .metrics import JUDGED
from .prompts import load_prompt
from .sections import Recipe
from .yaml_source import KeyPath

GENERATED = "generated:"
ROWS = f"{GENERATED}rows"
_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_OWN_ADDRESS = ("openai_compatible",)


def generated_rows_are_read(recipe: Recipe) -> Iterator[Finding]:
    """A source reads the generated rows, and a source of generated rows has a generate section."""
    named = [(index, source.path) for index, source in enumerate(recipe.data.sources) if source.path.startswith(GENERATED)]
    for index, path in named:
        if recipe.generate is None:
            hint = "add a generate section, or name a file"
            yield Finding(("data", "sources", index, "path"), "the recipe has no generate section", hint)
        elif path != ROWS:
            yield Finding(("data", "sources", index, "path"), f"{path!r} is not generated", f"set path: {ROWS}")
    if recipe.generate and not named:
        yield Finding(("generate",), "has no effect: no source reads the generated rows", f"add a source with path: {ROWS}")


def generating_has_what_it_needs(recipe: Recipe) -> Iterator[Finding]:
    """Providers, a prompt and an input are given exactly if the task uses them."""
    generate = recipe.generate
    if generate is None:
        return
    asks = asks_models(generate)
    for key, given in (("providers", generate.providers), ("prompt", generate.prompt)):
        needed = asks and (key, generate.task) != ("prompt", "label")
        if needed and not given:
            yield Finding(("generate",), f"{generate.task} needs {key}", f"add generate.{key}")
        if not asks:
            yield no_effect(("generate", key), " with options.paraphrases: 0", "remove it, or set generate.options.paraphrases")
    if generate.filters.min_words and generate.filters.max_words and generate.filters.min_words > generate.filters.max_words:
        yield Finding(("generate", "filters", "max_words"), "is less than min_words: every reply would be rejected", "increase it")
    if generate.judge is None:
        yield no_effect(("generate", "filters", "min_score"), ": no judge scores the rows", "add generate.judge")


def generating_reads_what_it_needs(recipe: Recipe) -> Iterator[Finding]:
    """Prompts, input and converter fit the task."""
    generate = recipe.generate
    if generate is None:
        return
    if generate.task == "label":
        yield no_effect(("generate", "prompt"), ": a classifier reads only the text")
    if generate.task != "scenarios" and len(generate.prompts) > 1:
        yield Finding(("generate", "prompt"), f"{generate.task} has one prompt", "give one; only scenarios take several")
    if not generate.input:
        yield no_effect(("generate", "converter"), " without an input", "add generate.input, or remove it")
    if not generate.converter:
        yield no_effect(("generate", "converter_options"), " without a converter", "add generate.converter, or remove it")
    if generate.task == "scenarios":
        yield no_effect(("generate", "input"), ": scenarios come from options.areas and options.emotions")
        yield no_effect(("generate", "limit"), " without an input", "use fewer areas or emotions in options")
    if generate.task != "scenarios" and not generate.input:
        yield Finding(("generate",), f"{generate.task} needs input rows", "add generate.input")


def settings_of_requests_that_are_not_sent(recipe: Recipe) -> Iterator[Finding]:
    """Settings of sampling, requests and replies where no model writes: a classifier scores each text once, on this machine."""
    generate = recipe.generate
    if generate is None:
        return
    if generate.task != "label" and asks_models(generate):
        if not generate.sampling.temperature:
            yield no_effect(("generate", "sampling", "top_p"), " at temperature 0", "set temperature above 0, or remove it")
        return
    why = ": a classifier writes no text" if generate.task == "label" else " with options.paraphrases: 0"
    unread = [("sampling",), ("seed",), ("filters", "keep_cut")]
    if generate.judge is None or generate.judge.limits:
        unread.append(("limits",))
    if not asks_models(generate):
        unread += [("judge",), *(("filters", key) for key in Filters._fields if key != "keep_cut")]
    for path in unread:
        yield no_effect(("generate", *path), why)


def asks_models(generate: Generate) -> bool:
    """Return whether the task asks models at all: self-cognition without paraphrases takes the list as it is."""
    return generate.task != "self_cognition" or generate.options.get("paraphrases", 0) > 0


def weights_of_one_provider(recipe: Recipe) -> Iterator[Finding]:
    shared = recipe.generate is not None and len(recipe.generate.providers) > 1
    for path, _ in providers(recipe):
        if not (shared and path[:2] == ("generate", "providers")):
            yield no_effect((*path, "weight"), ": this model answers every request")


def classifiers_label(recipe: Recipe) -> Iterator[Finding]:
    """The task `label` has one classifier as its provider, and classifiers are used for nothing else."""
    for path, provider in providers(recipe):
        labels = recipe.generate is not None and recipe.generate.task == "label" and path[:2] == ("generate", "providers")
        if labels != (provider.provider == "classifier"):
            hint = "set provider: classifier" if labels else "set provider: local, or task: label"
            what = "label needs a classifier" if labels else "a classifier writes no text"
            yield Finding((*path, "provider"), what, hint)
        if provider.provider == "classifier":
            for key in ("base_url", "key_name", "private_network", "stream", "requests_per_minute", "tokens_per_minute"):
                yield no_effect((*path, key), " on a classifier")
    if recipe.generate and recipe.generate.task == "label" and len(recipe.generate.providers) > 1:
        yield Finding(("generate", "providers", 1), "label has one classifier", "remove it")


def provider_address(recipe: Recipe) -> Iterator[Finding]:
    """A URL is given if one is needed, with https or loopback, and without secrets. Messages never repeat it."""
    for path, provider in providers(recipe):
        if provider.provider == "classifier":
            continue
        if provider.base_url is None:
            if provider.provider in _OWN_ADDRESS:
                yield Finding(path, "needs a URL", "add base_url: https://HOST/v1")
            yield no_effect((*path, "private_network"), " without base_url")
            continue
        at = (*path, "base_url")
        if provider.provider == "local":
            yield no_effect(at, " on a local model", "remove it, or set provider: openai_compatible")
            continue
        try:
            address = urlsplit(provider.base_url)
            host, secret = address.hostname, bool(address.username or address.password or address.query or address.fragment)
        except ValueError:
            host, secret, address = None, False, urlsplit("")
        if secret:
            yield Finding(at, "must contain only scheme, host, port and path", "put the key in an environment variable: key_name")
        elif address.scheme not in ("http", "https") or not host:
            yield Finding(at, "is not a URL", "use base_url: https://HOST/v1")
        elif address.scheme == "http" and host not in LOOPBACK and not provider.private_network:
            hint = "use https://, or set private_network: true if you trust every machine on the network"
            yield Finding(at, "would send the key and the prompts unencrypted", hint)


def provider_key_is_a_name(recipe: Recipe) -> Iterator[Finding]:
    for path, provider in providers(recipe):
        if provider.key_name is not None and (wrong := _name_fault(provider.key_name)):
            yield Finding((*path, "key_name"), *wrong)
        if provider.provider == "local":
            yield no_effect((*path, "key_name"), ": a local model needs no key")


def _name_fault(name: str) -> tuple[str, str] | None:
    """Return what is wrong with the name of a key's variable, and what to do. A trainer's process has the variable too, and its log masks
    the values of those that are named like a secret."""
    from .base.redact import is_secret_name  # most recipes have no provider

    if not _NAME.fullmatch(name):
        hint = "give the name of the variable that holds the key, e.g. MY_API_KEY; never the key itself"
        return "is not the name of an environment variable", hint
    return None if is_secret_name(name) else (f"{name} is not named like a secret: logs could show the key", f"rename it, e.g. {name}_KEY")


def costs_can_be_counted(recipe: Recipe) -> Iterator[Finding]:
    """A cost limit needs a price for every provider, in one currency."""
    for path, limits, paid in _budgets(recipe):
        if limits.max_cost is None:
            continue
        for at, provider in paid:
            if provider.provider not in ("local", "classifier") and provider.price is None:
                yield Finding(at, "has no price, which limits.max_cost needs", "add price: {input, output, currency}")
        currencies = {provider.price.currency for _, provider in paid if provider.price}
        if len(currencies) > 1:
            yield Finding((*path, "max_cost"), f"prices are in {' and '.join(sorted(currencies))}", "give every price in one currency")


def judge_prompt_has_scales(recipe: Recipe) -> Iterator[Finding]:
    """A judge's prompt is readable before training starts, and asks for the scores that are used."""
    for path, judge in _judges(recipe):
        at = (*path, "prompt")
        try:
            scales = load_prompt(judge.prompt).scales
        except UserError as error:
            yield Finding(at, error.problems[0].what, error.problems[0].hint)
            continue
        wanted = [metric for metric in recipe.evaluation.metrics if metric in JUDGED] if path[0] == "evaluation" else []
        if not scales:
            yield Finding(at, "asks for no scores", "add scales: {NAME: [LOWEST, HIGHEST]} to the prompt file")
        elif missing := [metric for metric in wanted if metric not in scales]:
            yield Finding(at, f"has no scale {missing[0]}, which evaluation.metrics measures", f"its scales: {', '.join(scales)}")


def providers(recipe: Recipe) -> Iterator[tuple[KeyPath, Provider]]:
    """Yield every model that the recipe calls, with the path of its section."""
    if recipe.generate is not None:
        yield from ((("generate", "providers", index), provider) for index, provider in enumerate(recipe.generate.providers))
    yield from (((*path, "provider"), judge.provider) for path, judge in _judges(recipe))
    if recipe.evaluation.rubric:
        yield from ((("evaluation", "rubric", "judges", index), judge) for index, judge in enumerate(recipe.evaluation.rubric.judges))


def _judges(recipe: Recipe) -> Iterator[tuple[KeyPath, Judge]]:
    if recipe.generate is not None and recipe.generate.judge:
        yield ("generate", "judge"), recipe.generate.judge
    if recipe.evaluation.judge:
        yield ("evaluation", "judge"), recipe.evaluation.judge


def _budgets(recipe: Recipe) -> Iterator[tuple[KeyPath, Limits, list[tuple[KeyPath, Provider]]]]:
    """Yield every section of limits, with the models that it applies to."""
    own = {path: judge.limits for path, judge in _judges(recipe) if judge.limits}
    if recipe.generate is not None:
        shared = [(at, p) for at, p in providers(recipe) if at[0] == "generate" and at[:-1] not in own]
        yield ("generate", "limits"), recipe.generate.limits, shared
    if recipe.evaluation.rubric and recipe.evaluation.rubric.limits:
        asked = [(at, p) for at, p in providers(recipe) if at[:2] == ("evaluation", "rubric")]
        yield ("evaluation", "rubric", "limits"), recipe.evaluation.rubric.limits, asked
    for path, limits in own.items():
        yield (*path, "limits"), limits, [(at, p) for at, p in providers(recipe) if at[:-1] == path]


GENERATE_RULES = (
    generated_rows_are_read,
    generating_has_what_it_needs,
    generating_reads_what_it_needs,
    settings_of_requests_that_are_not_sent,
    weights_of_one_provider,
    classifiers_label,
    provider_address,
    provider_key_is_a_name,
    costs_can_be_counted,
    judge_prompt_has_scales,
)
