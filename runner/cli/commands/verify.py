"""`recipe verify`: check every file of a run against its hash."""

from pathlib import Path

import click

from ....schemas.base.counted import counted
from ....schemas.base.errors import Problem, UserError
from ...runtime.find_run import find_run
from .. import completion
from ..options import json_option, print_json, runs_dir_option


@click.command("verify")
@click.argument("run", shell_complete=completion.runs)
@click.option("--accept", is_flag=True, help="Accept edited files as they are; the report names them.")
@runs_dir_option
@json_option
def command(run: str, accept: bool, root: Path, as_json: bool) -> None:
    """Compare the data, weights, predictions and numbers of RUN with the hashes taken when they were written.

    RUN is a run's directory or a recipe's name (its newest run).
    """
    from ...workflows.verify import accept_edits, verify_run

    found = find_run(run, root)
    if accept:
        with found.locked():
            for name in accept_edits(found):
                click.echo(f"accepted  {found / name}", err=True)
    result = verify_run(found)
    if result.faults and found.is_locked():
        what = "is in use by another process, which may be replacing the files that differ"
        raise UserError(Problem(found.path, what, "verify it again when that has ended", "locked"))
    if as_json:
        print_json({"run": str(found.path), "files": result.files, "faults": result.faults})
    if result.faults:
        hint = f"restore the file, or accept it as it is: recipe verify {found.path} --accept"
        raise UserError(*(Problem("", fault, hint, "changed") for fault in result.faults))
    if not as_json:
        click.echo(f"{counted(result.files, 'file', 'are')} unchanged: {found.path}")
