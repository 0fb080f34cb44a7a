"""The context of a run: its recipe, its folder, and values shared by its stages, each computed once."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from ...converters.building.manifest import Manifest
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import Data
from ..generate.stage import ROWS_FILE, with_rows_file
from ..launch.plan import TrainingJob, make_job
from ..models.resolve import ResolvedModel, model_of_run, resolve_model
from ..resources.batch_size import locked_batch, with_batch
from ..runtime.console import Display
from ..runtime.machine import Machine, this_machine
from ..runtime.run_files import LOCK, MANIFEST, TRAIN_ROWS, LockedBatch
from ..runtime.run_folder import RunFolder


class RunContext:
    """What a stage works with. `previous` are the recipe's earlier runs, newest first, whose outputs may be reused.

    Without a run (`run` is None), outputs can only be searched for. `keys` has the key of each stage, `found` the run with its outputs, and
    `outcomes` how it was completed in this run.
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
        self._warned: set[str] = set()
        self._run = run

    def warn(self, stage: str, what: str) -> None:
        """Print a warning once: a stage may be looked for, or its files be looked at, several times."""
        if what not in self._warned:
            self._warned.add(what)
            self.display.say(stage, what, "warning")

    @property
    def run(self) -> RunFolder:
        """Return the run's folder."""
        if self._run is None:
            raise AssertionError("the run has no folder yet")
        return self._run

    @property
    def runs(self) -> list[RunFolder]:
        """Return the runs that may have a stage's outputs, this one first."""
        return [*([self._run] if self._run else []), *self.previous]

    def begin(self, run: RunFolder) -> None:
        """Use this folder from now on."""
        self._run = run
        self.found.clear()

    def is_own(self, run: RunFolder) -> bool:
        """Return whether it is this run, not an earlier one."""
        return run is self._run

    @cached_property
    def machine(self) -> Machine:
        """Return the machine that this runs on."""
        return this_machine()

    @property
    def data(self) -> Data:
        """Return the recipe's data section, with generated rows replaced by their file from the generate stage."""
        if self.recipe.generate is None:
            return self.recipe.data
        return with_rows_file(self.recipe.data, self.found["generate"] / "generated" / ROWS_FILE)

    @cached_property
    def manifest(self) -> Manifest:
        """Return the manifest of the data stage."""
        return self.found["data"].read(MANIFEST)

    def replace_data(self, manifest: Manifest) -> None:
        """Use newly converted data, and discard what was derived from the previous data."""
        self.manifest = manifest
        for derived in ("job", "batch"):
            self.__dict__.pop(derived, None)
        self.keys = {name: key for name, key in self.keys.items() if name == "generate"}

    @cached_property
    def model(self) -> ResolvedModel:
        """Return the model to start from. A trained run keeps the one that it was trained on: an adapter on another base is another model.

        Raises UserError if there is none, or a different one.
        """
        if self._run and "train" in self._run.stages:
            return model_of_run(self._run, self.recipe.model, self.root)
        return resolve_model(self.recipe.model, self.root, self.loaded.is_smoke)

    @cached_property
    def job(self) -> TrainingJob:
        """Return the training of the recipe with this data, model and batch on this machine."""
        return make_job(with_batch(self.loaded, self.batch), self.manifest, self.machine, self.model)

    @cached_property
    def batch(self) -> LockedBatch:
        """Return how the rows of a step are divided. A run keeps what it has chosen, on any machine."""
        lock = self._run.find(LOCK) if self._run else None
        return locked_batch(
            self.loaded, self.machine, self.manifest, self.found["data"] / TRAIN_ROWS, self.model.path, lock and lock["batch"]
        )
