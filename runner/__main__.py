"""`python -m recipekit.runner`: the command line with this very interpreter, where no `recipe` may be on the PATH."""

from .cli.main import main

main()
