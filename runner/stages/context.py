"""A run at work: its recipe, its folder, and what its stages share, each computed once."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from ...converters.building.manifest import Manifest
from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import Data
from ..generate.stage import ROWS_FILE, named
from ..launch.plan import TrainingJob, make_job
from ..models.resolve import ResolvedModel, is_unchanged, resolve_model
from ..runtime.console import Display
from ..runtime.machine import Machine, this_machine
from ..runtime.run_files import LOCK, MANIFEST
from ..runtime.run_folder import RunFolder


class RunContext:
    """What a stage works with. `previous` are the recipe's earlier runs, newest first, whose outputs may be reused.

    Without a run (`run` is None) stages can only be looked for. `keys` has the key of each stage, `found` the run that holds its outputs,
    `outcomes` how it came to be done in this run.
    """

    def __init__(
        self, loaded: LoadedRecipe, root: Path, display: Display, run: RunFolder | None = None, previous: Iterable[RunFolder] = ()
    ) -> None:
        self.loaded, self.root, self.display = loaded, root, display
        self.recipe = loaded.recipe
        self.previous = list(previous)
        self.keys: dict[str, str] = {}
        self.found: dict[str, RunFolder] = {}
        self.outcomes: dict[str, str] = {}
        self._run = run

    @property
    def run(self) -> RunFolder:
        """The run's folder."""
        if self._run is None:
            raise AssertionError("the run has no folder yet")
        return self._run

    @property
    def runs(self) -> list[RunFolder]:
        """The runs in which a stage's outputs may be: this one first."""
        return [*([self._run] if self._run else []), *self.previous]

    def begin(self, run: RunFolder) -> None:
        """Work in this folder from now on."""
        self._run = run
        self.found.clear()

    def is_own(self, run: RunFolder) -> bool:
        """Whether it is this run, and not an earlier one."""
        return run is self._run

    @cached_property
    def machine(self) -> Machine:
        """The machine that this runs on."""
        return this_machine()

    @property
    def data(self) -> Data:
        """The recipe's data section; what it generates is the file in which the generate stage has put it."""
        if self.recipe.generate is None:
            return self.recipe.data
        return named(self.recipe.data, self.found["generate"] / "generated" / ROWS_FILE)

    @cached_property
    def manifest(self) -> Manifest:
        """What the data stage says of the records."""
        return self.found["data"].read(MANIFEST)

    def replace_data(self, manifest: Manifest) -> None:
        """Take note of data that were converted just now; what was derived from others is forgotten."""
        self.manifest = manifest
        self.__dict__.pop("job", None)
        self.keys = {name: key for name, key in self.keys.items() if name == "generate"}

    @cached_property
    def model(self) -> ResolvedModel:
        """The model to start from. A run that has trained has the one that it was trained on: an adapter on another base is another model.

        Raises UserError where there is none, or another."""
        lock = self._run.read(LOCK)["model"] if self._run and "train" in self._run.stages else None
        if lock and is_unchanged(before := ResolvedModel(**lock)):
            return before
        found = resolve_model(self.recipe.model, self.root, self.loaded.is_smoke)
        if lock and found.identity != lock["identity"]:
            what = f"was trained on {lock['note']}, which is not {found.note} as it is now"
            hint = "bring it back: an adapter on another base is another model"
            raise UserError(Problem(Location(str(self.run.path)), what, hint, "other-model"))
        return found

    @cached_property
    def job(self) -> TrainingJob:
        """The training that the recipe stands for, with this data and model, on this machine."""
        return make_job(self.loaded, self.manifest, self.machine, self.model)
