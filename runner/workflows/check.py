"""`recipe check`: check the recipes that files, folders and names stand for, without heavy imports."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ...schemas.base.counted import counted
from ...schemas.base.errors import Problem, UserError
from ...schemas.extends import is_recipe_file, recipe_files, recipes_in, yaml_files
from ...schemas.recipe import check_recipe


class Checked(NamedTuple):
    """The problems; how many recipes were checked, how many have problems, and how many other YAML files were skipped; from the data, the
    rows read, the sources not read, and notes; of several recipes, these begin with the recipe's path."""

    problems: list[Problem]
    recipes: int
    invalid: int
    skipped: int
    rows: int
    unread: list[str]
    notes: list[str]


def check_recipes(names: Iterable[str], settings: tuple[str, ...], with_data: bool, recipes_only: bool) -> Checked:
    """Check every recipe once, `with_data` also the first rows of its sources. A name without a recipe is a problem, and counts as one."""
    paths, skipped, problems, invalid = [], 0, [], 0
    notes: list[str] = []
    for name in names:
        if recipes_only and Path(name).is_file() and not is_recipe_file(Path(name)):
            skipped += 1
            continue
        try:
            found = recipe_files(name)
        except UserError as error:
            problems += error.problems
            invalid += 1
            continue
        if Path(name).is_dir():
            if found[0].is_relative_to(name):
                skipped += len(yaml_files(Path(name))) - len(found)
            elif inside := recipes_in(Path(name)):
                notes.append(f"{name} is the recipe {found[0]}; for {counted(len(inside), 'recipe')} in the folder: recipe check {name}/")
        paths += found
    recipes, rows = invalid, 0
    unread: list[str] = []
    unmeasured: list[str] = []
    different = list(dict.fromkeys(paths))
    for path in different:
        of_path = check_recipe(path, settings)
        if with_data and not of_path:
            from .check_data import check_data

            of_data = check_data(path, settings)
            of_path = of_data.problems
            rows += of_data.rows
            which = f"{path}: " if len(different) > 1 else ""
            unread += [which + source for source in of_data.unread]
            notes += [which + note for note in of_data.notes]
            unmeasured += [of_data.unmeasured] if of_data.unmeasured else []
        problems += of_path
        recipes, invalid = recipes + 1, invalid + bool(of_path)
    if unmeasured:
        notes.append(f"row lengths not checked: the tokenizer is not on this machine ({', '.join(dict.fromkeys(unmeasured))})")
    return Checked(problems, recipes, invalid, skipped, rows, unread, notes)
