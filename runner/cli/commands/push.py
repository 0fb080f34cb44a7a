"""`recipe push`: upload a run's model to the Hugging Face Hub."""

from pathlib import Path
from typing import Any

import click

from ....schemas.base.counted import counted
from ....schemas.base.errors import Problem, UserError
from ....schemas.recipe import load_recipe
from ...runtime.find_run import find_run
from .. import completion
from ..options import print_json, runs_dir_option


@click.command("push")
@click.argument("run", shell_complete=completion.runs)
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
        raise UserError(Problem("", "no repository", "give REPO, or set export.push_to_hub in the recipe", "not-pushed"))
    from ...reporting.model_card import hub_name
    from ...workflows.upload import folder_to_upload, require_token, send, uploads

    folder = folder_to_upload(found, merged)
    files = uploads(folder, hub_name(recipe.model.base_model))
    facts: dict[str, Any] = {"repo": repo, "private": private, "bytes": sum(file.size for file in files)}
    for file in files:
        click.echo(f"{file.size:>16,}  {file.path}" + (f"  ({file.note})" if file.note else ""), err=True)
    seen = "private" if private else "public"
    click.echo(f"{facts['bytes']:>16,}  bytes in {counted(len(files), 'file')}, for {repo} ({seen})", err=True)
    if dry_run:
        click.echo("nothing was uploaded (--dry-run)", err=True)
    else:
        require_token()
        facts["commit"] = send(files, repo, private, f"{recipe.name}: {folder.name} of {found.path.name}")
    if as_json:
        listed = [{"path": file.path, "bytes": file.size} for file in files]
        print_json({**facts, "files": listed})
    elif not dry_run:
        click.echo(facts["commit"])
