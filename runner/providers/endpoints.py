"""Providers: their addresses, and where their keys are stored. All use the OpenAI protocol.

Addresses and names are from the providers' documentation: help.aliyun.com (DashScope), cloud.baidu.com (Qianfan),
open.bigmodel.cn (Zhipu), xfyun.cn/doc/spark (Spark: its key is the console's APIPassword), platform.openai.com.
"""

import os
from collections.abc import Iterable
from typing import NamedTuple

from ...schemas.base.errors import Problem, UserError
from ...schemas.generate_sections import Price, Provider

KEYRING = "recipekit"  # the service name of keyring entries


class Service(NamedTuple):
    """An address, the environment variables that may hold its key, and whether it accepts `seed`."""

    base_url: str
    key_names: tuple[str, ...]
    takes_seed: bool = True


SERVICES: dict[str, Service] = {
    "dashscope": Service("https://dashscope.aliyuncs.com/compatible-mode/v1", ("DASHSCOPE_API_KEY",)),
    "qianfan": Service("https://qianfan.baidubce.com/v2", ("QIANFAN_API_KEY",)),
    "zhipu": Service("https://open.bigmodel.cn/api/paas/v4", ("ZHIPUAI_API_KEY", "ZHIPU_API_KEY"), takes_seed=False),
    "spark": Service("https://spark-api-open.xf-yun.com/v1", ("SPARK_API_PASSWORD",), takes_seed=False),
    "openai": Service("https://api.openai.com/v1", ("OPENAI_API_KEY",)),
    "openai_compatible": Service("", ()),
    "local": Service("", ()),
    "classifier": Service("", ()),
}


LOCAL = ("local", "classifier")  # run on this machine


class Endpoint(NamedTuple):
    """A provider of the recipe, ready to use. `identity` names the model in the log, and changes with its weights.

    `key` is only used as a header; repr hides it.
    """

    provider: str
    model: str
    identity: str
    base_url: str
    key: str
    weight: float
    takes_seed: bool
    private_network: bool
    stream: bool
    requests_per_minute: int | None
    tokens_per_minute: int | None
    price: Price | None

    def __repr__(self) -> str:
        return f"Endpoint({self.name})"

    @property
    def name(self) -> str:
        """Return the name to display."""
        return f"{self.provider}/{self.model}"


def endpoint(provider: Provider, base_url: str = "", identity: str = "", *, with_key: bool = True) -> Endpoint:
    """Return the provider with its address and key; a local model has the address at which it is served.

    Raises UserError if the key is missing, unless nothing will be asked.
    """
    service = SERVICES[provider.provider]
    names = (provider.key_name,) if provider.key_name else service.key_names
    # A model of the same name elsewhere may be a different one.
    named = f"{provider.model}@{provider.base_url}" if provider.base_url else provider.model
    return Endpoint(
        provider.provider, provider.model, identity or named, base_url or provider.base_url or service.base_url,
        _key(provider.provider, names) if names and with_key else "", provider.weight, service.takes_seed,
        provider.private_network, provider.stream, provider.requests_per_minute, provider.tokens_per_minute, provider.price,
    )  # fmt: skip


def cost(price: Price | None, prompt_tokens: int, completion_tokens: int) -> float | None:
    """Return the cost of the tokens, or None if the recipe gives no price."""
    return None if price is None else (prompt_tokens * price.input + completion_tokens * price.output) / 1_000_000


def require_keys(providers: Iterable[Provider]) -> None:
    """Raise UserError with every key that is missing, before anything is sent."""
    problems: dict[Problem, None] = {}
    for provider in providers:
        try:
            endpoint(provider)
        except UserError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise UserError(*problems)


def _key(provider: str, names: tuple[str, ...]) -> str:
    for name in names:
        if value := (os.environ.get(name) or _from_keyring(name) or "").strip():
            return value
    hint = f"export {names[0]}=..., or: keyring set {KEYRING} {names[0]}"
    raise UserError(f"no key for {provider}: {' or '.join(names)} is not set", hint=hint)


def _from_keyring(name: str) -> str | None:
    """Return the keyring's entry; None if there is no keyring or it is locked, so that the message names the environment variable."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return None
    try:
        return keyring.get_password(KEYRING, name)
    except keyring.errors.KeyringError:
        return None
