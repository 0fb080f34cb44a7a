"""The warm-up: in how many of the first optimizer steps the learning rate rises."""

import math
from collections.abc import Iterator

from .base.counted import counted
from .findings import Finding, Rule, no_effect
from .sections import Recipe


def warm_up_steps(steps: int, ratio: float | None, given: int | None) -> int:
    """Return the steps of warm-up of a run with so many `steps`, as transformers counts them: a ratio is rounded up, so that it always has
    an effect."""
    return given or math.ceil(steps * (ratio or 0))


def warm_up_fault(steps: int, ratio: float | None, given: int | None) -> tuple[str, str] | None:
    """Return the key of a warm-up that ends after the run, and what is wrong: the full learning rate would never be reached, and a run of
    one step would have the rate 0."""
    found = warm_up_steps(steps, ratio, given)
    if found < steps or not found:
        return None
    return "warmup_steps" if given else "warmup_ratio", f"{counted(found, 'step')} of warm-up, but the run takes {steps}"


def warm_up_longer_than_the_run(recipe: Recipe) -> Iterator[Finding]:
    training = recipe.training
    if training.warmup_ratio == 1:
        yield Finding(("training", "warmup_ratio"), "the whole run is warm-up", "use 0.1, for example")
    elif training.max_steps and (fault := warm_up_fault(training.max_steps, training.warmup_ratio, training.warmup_steps)):
        hint = "use about a tenth of the steps: otherwise the full learning rate is never reached"
        yield Finding(("training", fault[0]), fault[1], hint)
    if training.warmup_ratio is not None and training.warmup_steps is not None:
        yield Finding(("training", "warmup_steps"), "cannot be combined with warmup_ratio", "keep one of them")


def warm_up_that_the_scheduler_ignores(recipe: Recipe) -> Iterator[Finding]:
    for key in ("warmup_ratio", "warmup_steps"):
        if recipe.training.lr_scheduler == "constant":
            yield no_effect(("training", key), " with lr_scheduler: constant", "use lr_scheduler: constant_with_warmup")


WARM_UP_RULES: tuple[Rule, ...] = (warm_up_longer_than_the_run, warm_up_that_the_scheduler_ignores)
