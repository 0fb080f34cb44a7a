"""The entry point of `recipe`, and of `python -m recipekit.runner`: the command line with this very interpreter."""

import gc
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line."""
    gc.disable()  # until the command is imported: imports make no garbage, and looking for it takes a tenth of the time of `recipe check`
    from .cli.main import main

    main()


if __name__ == "__main__":
    main()
