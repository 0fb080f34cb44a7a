"""The generate stage: the rows that models write for the recipe, copied into the run.

They are made in the recipe's folder, shared with `recipe generate` and all of the recipe's runs, so that no request is repeated.
"""

from ...converters.building.manifest import verify_folder
from ...schemas.base.hashing import key_of
from ...schemas.generate_sections import Generate
from ..generate.stage import generated_facts, generated_files, key_of_rows, require_generate_extra
from ..runtime.run_folder import RunFolder
from .context import RunContext
from .stage import link_folder

NAME = "generate"
OUTPUTS = ("generated",)
OPTIONAL_OUTPUTS: tuple[str, ...] = ()
FINAL = True


def key(context: RunContext) -> str:
    """Return a hash of the section, its prompts, its input's bytes and its local models' weights."""
    return key_of("generate", *generated_facts(_section(context), context.root))


def faults(run: RunFolder) -> list[str]:
    """Return how the rows differ from those that were generated."""
    return verify_folder(run / "generated")


def run(context: RunContext) -> None:
    """Generate the rows, unless the recipe's folder has those with the same key as they were written, and copy them into the run. Raises
    like generate_rows."""
    section, shared = _section(context), generated_files(context.loaded, context.root)
    wanted = context.keys[NAME] = context.keys.get(NAME) or key(context)
    is_known = key_of_rows(shared.rows) == wanted
    changes = verify_folder(shared.rows) if is_known else []
    for change in changes:
        context.warn(NAME, f"{change}: not used")
    if is_known and not changes:
        context.display.say(NAME, f"unchanged: {shared.rows}")
    else:
        require_generate_extra(section)
        from ..generate.generate import generate_rows, usage_lines

        for line in usage_lines(generate_rows(section, shared.rows, shared.log, context.root, context.display, wanted)):
            context.display.say(*line)
    link_folder(shared.rows, context.run / "generated")


def _section(context: RunContext) -> Generate:
    if context.recipe.generate is None:
        raise AssertionError("a recipe without a generate section has no generate stage")
    return context.recipe.generate
