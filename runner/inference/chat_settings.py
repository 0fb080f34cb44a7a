"""Choose how replies are generated: as in the run's evaluation, or greedily for other models, unless the command line overrides it."""

from pathlib import Path
from typing import Any, NamedTuple

from ...schemas.base.counted import counted
from ...schemas.base.errors import UserError
from ...schemas.evaluation_sections import Generation
from ...schemas.recipe import load_recipe
from ..models.reference import ModelReference
from ..runtime.run_files import MANIFEST
from ..runtime.run_folder import RunFolder


class Settings(NamedTuple):
    """Generation settings. `seed` None is random for every reply, `system` None is no system prompt; `system_note` says where it is set,
    or why one is missed."""

    temperature: float
    top_p: float
    repetition_penalty: float
    max_new_tokens: int
    seed: int | None
    system: str | None
    system_note: str

    def __str__(self) -> str:
        shown = [f"temperature {self.temperature:g}" if self.temperature else "temperature 0 (always the likeliest token)"]
        shown += [f"top_p {self.top_p:g}"] if self.temperature and self.top_p < 1 else []
        shown += [f"repetition_penalty {self.repetition_penalty:g}"] if self.repetition_penalty != 1 else []
        shown += [f"seed {self.seed}"] if self.temperature and self.seed is not None else []
        return ", ".join([*shown, f"at most {counted(self.max_new_tokens, 'token')} per reply"])


def settings_of(target: ModelReference, given: dict[str, Any]) -> Settings:
    """Return the settings for the model; `given` holds the options of the command line, None for those not given.
    Raises UserError for an option without effect.
    """
    if target.kind == "classification" and (unused := [name for name, value in given.items() if value is not None]):
        option = unused[0].replace("_", "-")
        raise UserError(f"--{option} has no effect: {target.name} is a classifier and generates nothing", hint="remove the option")
    generation = Generation()
    if target.run:
        generation = load_recipe(RunFolder(Path(target.run)).recipe_file).recipe.evaluation.generation
    system, note = system_of(target, given["system"])
    chosen = {name: value for name, value in given.items() if value is not None and name != "system"}
    found = Settings(generation.temperature, generation.top_p, 1.0, generation.max_new_tokens, None, system, note)._replace(
        **{"max_new_tokens" if name == "max_tokens" else name: value for name, value in chosen.items()}
    )
    if not found.temperature and (unused := [name for name in ("top_p", "seed") if chosen.get(name) is not None]):
        raise UserError(f"--{unused[0].replace('_', '-')} has no effect at temperature 0", hint="add --temperature 0.7")
    return found


def system_of(target: ModelReference, given: str | None) -> tuple[str | None, str]:
    """Return the system prompt for chats without one (`given` by the command line, else the recipe's), and where it is
    set; without one None, and how many training rows have their own."""
    if given is not None:
        return given or None, "--system"
    if target.system_prompt:
        return target.system_prompt, "the recipe's"
    manifest = RunFolder(Path(target.run)).find(MANIFEST) if target.run else None
    if not manifest or not (own := manifest.get("own_prompts")):
        return None, ""
    rows = counted(manifest["splits"]["train"], "training row")
    return None, f"{own:,} of {rows} {'has' if own == 1 else 'have'} a system prompt; set one with --system"
