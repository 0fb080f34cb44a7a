"""How replies are generated: as the run's evaluation generated them, or a plain model greedily, unless the command line says otherwise."""

from pathlib import Path
from typing import Any, NamedTuple

from ...schemas.base.errors import UserError
from ...schemas.recipe import load_recipe
from ...schemas.sections import Generation
from ..models.reference import ModelReference
from ..runtime.run_folder import RunFolder


class Settings(NamedTuple):
    """`seed` None: another for every reply. `system` None: no system prompt; `system_note` says where it comes from."""

    temperature: float
    top_p: float
    repetition_penalty: float
    max_new_tokens: int
    seed: int | None
    system: str | None
    system_note: str

    def __str__(self) -> str:
        shown = [f"temperature {self.temperature:g}" if self.temperature else "temperature 0 (the likeliest token each time)"]
        shown += [f"top_p {self.top_p:g}"] if self.temperature and self.top_p < 1 else []
        shown += [f"repetition_penalty {self.repetition_penalty:g}"] if self.repetition_penalty != 1 else []
        shown += [f"seed {self.seed}"] if self.temperature and self.seed is not None else []
        return ", ".join([*shown, f"at most {self.max_new_tokens} tokens a reply"])


def settings_of(target: ModelReference, given: dict[str, Any]) -> Settings:
    """The settings for the model; `given` holds what the command line says, None where it says nothing.

    Raises UserError where something is said that has no effect.
    """
    if target.kind == "classification" and (idle := [name for name, value in given.items() if value is not None]):
        option = idle[0].replace("_", "-")
        raise UserError(f"--{option} has no effect: {target.name} classifies, and generates nothing", hint="leave it away")
    generation = Generation()
    if target.run:
        generation = load_recipe(RunFolder(Path(target.run)).recipe_file).recipe.evaluation.generation
    note = "the recipe's" if given["system"] is None else "--system"
    said = {name: value for name, value in given.items() if value is not None}
    found = Settings(generation.temperature, generation.top_p, 1.0, generation.max_new_tokens, None, target.system_prompt, note)._replace(
        **{"max_new_tokens" if name == "max_tokens" else name: value for name, value in said.items()}
    )
    if not found.temperature and (idle := [name for name in ("top_p", "seed") if said.get(name) is not None]):
        raise UserError(f"--{idle[0].replace('_', '-')} has no effect at temperature 0", hint="add --temperature 0.7")
    return found._replace(system=found.system or None)
