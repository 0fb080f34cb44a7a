"""`recipe push`: upload a run's model to the Hugging Face Hub."""

from pathlib import Path
from typing import Any

import click
import orjson

from ....schemas.base.errors import Location, Problem, UserError
from ....schemas.recipe import load_recipe
from ...reporting.report_mark import outdated_note
from ...runtime.run_folder import RunFolder, find_run
from ...runtime.seals import require_sealed
from ..options import runs_dir_option


@click.command("push")
@click.argument("run")
@click.argument("repo", required=False)
@click.option("--merged", is_flag=True, help="Upload merged/ instead of model/.")
@click.option("--private/--public", "private", default=True, show_default=True, help="Visibility of a new repository.")
@click.option("--dry-run", is_flag=True, help="Check and list the files; upload nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: the files and the commit's URL.")
@runs_dir_option
def command(run: str, repo: str | None, merged: bool, private: bool, dry_run: bool, as_json: bool, root: Path) -> None:
    """Upload the model of RUN and its model card to REPO (owner/name), or to the recipe's export.push_to_hub.

    The token is HF_TOKEN or that of `hf auth login`. Files that can run code when loaded, or that look like secrets, are refused.
    """
    found = find_run(run, root)
    recipe = load_recipe(found.recipe_file).recipe
    repo = repo or recipe.export.push_to_hub
    if not repo:
        raise UserError(Problem(Location(""), "no repository", "give REPO, or set export.push_to_hub in the recipe", "not-pushed"))
    folder = _folder(found, merged)
    from ...reporting.model_card import hub_name
    from ...workflows.upload import require_token, send, uploads

    files = uploads(folder, hub_name(recipe.model.base_model))
    facts: dict[str, Any] = {"repo": repo, "private": private, "bytes": sum(file.size for file in files)}
    for file in files:
        click.echo(f"{file.size:>16,}  {file.path}" + (f"  ({file.note})" if file.note else ""), err=True)
    seen = "private" if private else "public"
    click.echo(f"{facts['bytes']:>16,}  bytes in {len(files)} files, for {repo} ({seen})", err=True)
    if dry_run:
        click.echo("nothing was uploaded (--dry-run)", err=True)
    else:
        require_token()
        facts["commit"] = send(files, repo, private, f"{recipe.name}: {folder.name} of {found.path.name}")
    if as_json:
        listed = [{"path": file.path, "bytes": file.size} for file in files]
        click.echo(orjson.dumps({**facts, "files": listed}, option=orjson.OPT_INDENT_2))
    elif not dry_run:
        click.echo(facts["commit"])


def _folder(run: RunFolder, merged: bool) -> Path:
    """Return the folder to upload. Raises UserError for an unfinished run or a smoke run."""
    status = run.status
    if status.get("smoke"):
        raise UserError(Problem(Location(str(run.path)), "is a smoke run: it cannot be uploaded", rule="not-pushed"))
    if status.get("state") != "done":
        reason = f" ({reason})" if (reason := status.get("reason")) else ""
        raise UserError(Problem(Location(str(run.path)), f"is {status.get('state')}, not done{reason}", rule="not-pushed"))
    folder = run / ("merged" if merged else "model")
    if not folder.is_dir():
        hint = f"recipe merge {run.path}" if merged else f"recipe resume {run.path}"
        raise UserError(Problem(Location(str(folder)), "no such folder", hint, "not-pushed"))
    require_sealed(folder)
    if note := outdated_note(run):
        raise UserError(Problem(Location(str(run.path)), f"its model card may have older metrics: {note}", rule="not-pushed"))
    return folder
