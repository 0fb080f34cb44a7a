"""`recipe push`: a run's model to the Hugging Face hub."""

from pathlib import Path
from typing import Any

import click
import orjson

from ....schemas.base.errors import Location, Problem, UserError
from ....schemas.recipe import load_recipe
from ...runtime.run_folder import RUNS, RunFolder, find_run


@click.command("push")
@click.argument("run")
@click.argument("repo", required=False)
@click.option("--merged", is_flag=True, help="Push merged/, the adapter in its base model, in the place of model/.")
@click.option("--private/--public", "private", default=True, help="Who sees the repository. Default: you alone.")
@click.option("--dry-run", is_flag=True, help="Check everything and list the files; send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the files, and the commit's address, as one JSON object.")
@click.option("--out", "root", type=click.Path(path_type=Path), default=RUNS, help="Where runs are kept. Default: runs/")
def command(run: str, repo: str | None, merged: bool, private: bool, dry_run: bool, as_json: bool, root: Path) -> None:
    """Push the model of RUN with its model card to REPO (owner/name) on the hub; without REPO, to the recipe's export.push_to_hub.

    The token is HF_TOKEN, or that of `hf auth login`. Nothing is sent that may run code when it is loaded or looks like a secret.
    """
    found = find_run(run, root)
    recipe = load_recipe(str(found / "recipe.yml")).recipe
    repo = repo or recipe.export.push_to_hub
    if not repo:
        raise UserError(
            Problem(Location(""), "no repository is named", "give REPO, or write export.push_to_hub in the recipe", "not-pushed")
        )
    folder = _folder(found, merged)
    from ...reporting.model_card import hub_name
    from ...workflows.upload import outgoing, require_token, send

    files = outgoing(folder, hub_name(recipe.model.base_model))
    facts: dict[str, Any] = {"repo": repo, "private": private, "bytes": sum(file.size for file in files)}
    for file in files:
        click.echo(f"{file.size:>16,}  {file.path}" + (f"  ({file.note})" if file.note else ""), err=True)
    seen = "you alone" if private else "everybody"
    click.echo(f"{facts['bytes']:>16,}  bytes in {len(files)} files, for {repo}, seen by {seen}", err=True)
    if dry_run:
        click.echo("nothing was sent (--dry-run)", err=True)
    else:
        require_token()
        facts["commit"] = send(files, repo, private, f"{recipe.name}: {folder.name} of {found.path.name}")
    if as_json:
        listed = [{"path": file.path, "bytes": file.size} for file in files]
        click.echo(orjson.dumps({**facts, "files": listed}, option=orjson.OPT_INDENT_2))
    elif not dry_run:
        click.echo(facts["commit"])


def _folder(run: RunFolder, merged: bool) -> Path:
    """The folder to send. Raises UserError for a run that is not done, and for a rehearsal, whose model is no result."""
    status = run.status
    if status.get("rehearsal"):
        raise UserError(Problem(Location(str(run.path)), "is a rehearsal: nothing of it leaves the machine", rule="not-pushed"))
    if status.get("state") != "done":
        reason = f" ({status['reason']})" if status.get("reason") else ""
        raise UserError(Problem(Location(str(run.path)), f"is not done, but {status.get('state')}{reason}", rule="not-pushed"))
    folder = run / ("merged" if merged else "model")
    if not folder.is_dir():
        hint = f"recipe merge {run.path}" if merged else f"recipe resume {run.path}"
        raise UserError(Problem(Location(str(folder)), "is not there", hint, "not-pushed"))
    return folder
