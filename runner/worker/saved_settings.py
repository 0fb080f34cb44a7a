"""What a saved model's own files say of generating with it: other programs know no recipe."""

from collections.abc import Iterable
from typing import Any


def stop_at(model: Any, ends: Iterable[int | None]) -> None:
    """Add the tokens that end a turn to those at which the model's settings end a generation."""
    settings = getattr(model, "generation_config", None)
    if settings is None:
        return
    known = settings.eos_token_id
    found = sorted({*(known if isinstance(known, list) else [known]), *ends} - {None})
    settings.eos_token_id = found[0] if len(found) == 1 else found or None


def samples(model: Any) -> bool | None:
    """Return whether the model's settings draw the next token, None if they do not say it."""
    return getattr(getattr(model, "generation_config", None), "do_sample", None)


def restore(model: Any, sampled: bool | None) -> None:
    """Take back what Axolotl sets for the training alone, and would save: no cache, and sampling where the base model does not sample."""
    if hasattr(model.config, "use_cache"):
        model.config.use_cache = True
    settings = getattr(model, "generation_config", None)
    if settings is None:
        return
    settings.do_sample = sampled
    try:
        settings.validate(strict=True)
    except ValueError:  # settings of sampling, such as a temperature, cannot be saved without it
        settings.do_sample = True
