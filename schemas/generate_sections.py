"""The generate section as frozen values. Names and defaults match recipe.schema.json (a test compares them)."""

from typing import Any, NamedTuple


class Price(NamedTuple):
    """The price of a million tokens."""

    input: float
    output: float
    currency: str


class Provider(NamedTuple):
    """A model to call, and where."""

    provider: str
    model: str
    weight: float = 1
    base_url: str | None = None
    key_name: str | None = None
    private_network: bool = False
    stream: bool = False
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    price: Price | None = None


class Sampling(NamedTuple):
    """How replies are sampled."""

    temperature: float = 0.7
    top_p: float = 1
    max_new_tokens: int = 512
    repetition_penalty: float | None = None


class Limits(NamedTuple):
    """How many requests are sent and repeated (seconds, requests), and when generation stops."""

    concurrency: int = 8
    timeout: float = 120
    retries: int = 5
    attempts: int = 2
    max_requests: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None


class Filters(NamedTuple):
    """Which usable replies are rejected."""

    keep_cut: bool = False
    min_words: int | None = None
    max_words: int | None = None
    min_score: float | None = None
    require_terminal: bool = False
    blacklist: tuple[str, ...] = ()
    max_similarity: float | None = None


class Judge(NamedTuple):
    """A model that scores texts. Without `limits`, those of the generate section apply."""

    prompt: str
    provider: Provider
    max_new_tokens: int = 256
    limits: Limits | None = None


class Generate(NamedTuple):
    """Rows that models write before `data` reads them. After loading, `prompt` and `input` are absolute, or a shipped prompt's name."""

    task: str
    options: dict[str, Any] = {}
    prompt: str | tuple[str, ...] | None = None
    input: str | None = None
    converter: str | None = None
    converter_options: dict[str, Any] = {}
    limit: int | None = None
    min_rows: int | None = None
    providers: tuple[Provider, ...] = ()
    sampling: Sampling = Sampling()
    limits: Limits = Limits()
    filters: Filters = Filters()
    judge: Judge | None = None
    seed: int = 42
    max_dropped: float = 0

    @property
    def prompts(self) -> tuple[str, ...]:
        """Return the prompts as a tuple."""
        return (self.prompt,) if isinstance(self.prompt, str) else self.prompt or ()
