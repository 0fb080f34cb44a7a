"""Python imports this at its start: it has step_watch.py follow any training with transformers' Trainer, in whatever process that runs.

STEP_WATCH=FILE turns it on. Nothing of the training is changed.
"""

import os

if os.environ.get("STEP_WATCH"):
    import importlib.abc
    import importlib.util
    import sys
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    class _AfterTrainer(importlib.abc.MetaPathFinder):
        """Calls step_watch.install once transformers.trainer has been imported."""

        def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
            if name != "transformers.trainer":
                return None
            sys.meta_path.remove(self)
            spec = importlib.util.find_spec(name)
            if spec is None or spec.loader is None:
                return spec
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                import step_watch

                step_watch.install(module)

            spec.loader.exec_module = exec_module  # pyright: ignore[reportAttributeAccessIssue]
            return spec

    sys.meta_path.insert(0, _AfterTrainer())
