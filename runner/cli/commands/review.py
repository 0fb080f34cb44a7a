"""`recipe review`: write a page for a blind comparison by people, and add up their votes."""

from pathlib import Path

import click

from ....schemas.base.counted import counted, counted_of
from ....schemas.base.errors import UserError
from ...runtime.find_run import find_run
from ...runtime.run_folder import RunFolder
from .. import completion
from ..options import print_json, runs_dir_option


@click.command("review")
@click.argument("run", shell_complete=completion.runs)
@click.option("--rows", type=click.IntRange(1, 200), default=25, show_default=True, help="Pairs of replies to compare.")
@click.option("--seed", type=int, default=42, show_default=True, help="Seed of the choice of rows and of sides.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Page to write. Default: RUN/review/review.html.")
@click.option("--votes", "files", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="File of votes saved by the page; may be repeated.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@runs_dir_option
def command(run: str, rows: int, seed: int, out: Path | None, files: tuple[Path, ...], as_json: bool, root: Path) -> None:
    """Write a page to compare replies of RUN's base and tuned model blindly; with --votes, add votes and update the report."""
    from ...evaluation.human_review import make_review
    from ...reporting.review import write_review_page

    folder = find_run(run, root)
    with folder.locked():  # an evaluation replaces the replies that are compared
        if files:
            _add_votes(folder, files, run, as_json)
        else:
            review = make_review(folder, rows, seed)
            fewer = "" if len(review.pairs) == rows else f" of {rows}: no other row has two replies that differ"
            click.echo(f"review    {counted(len(review.pairs), 'pair')}{fewer}", err=True)
            click.echo(write_review_page(review, folder.path.parent.name, out or folder / "review" / "review.html"))


def _add_votes(folder: RunFolder, files: tuple[Path, ...], run: str, as_json: bool) -> None:
    """Add the files of votes to the run, and print the result. Raises UserError if they do not belong to its current replies."""
    from ...evaluation.human_review import add_votes, read_review, review_results
    from ...reporting.report import write_report

    review = read_review(folder)
    if review is None:
        raise UserError(f"{folder.path} has no review of its current replies", hint=f"recipe review {run} writes the page")
    for path in files:
        add_votes(folder, review, path)
    results, report = review_results(folder), write_report(folder)
    assert results is not None, "votes were added"
    if as_json:
        print_json(results)
        return
    for question, found in results["questions"].items():
        share = "" if found["share"] is None else f"; share of tuned {found['share']:.0%} [{found['low']:.0%}, {found['high']:.0%}]"
        counts = f"tuned {found['tuned']}, base {found['base']}, same {counted_of(found['same'], found['rows'], 'row')}"
        click.echo(f"{question:<12} {counts}{share}: {found['verdict']}")
    click.echo(report)
