"""`recipe data leaks`: find rows shared by two sets of records."""

from pathlib import Path

import click

from ..options import Between, json_option, runs_dir_option


@click.command("leaks")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--group-by", multiple=True, metavar="KEY", help="Meta key (or text) whose values must not occur in both.")
@click.option("--near/--no-near", default=True, show_default=True, help="Find near-duplicates.")
@click.option("--threshold", type=Between(0.5, 1), default=0.7, show_default=True, help="Similarity of near-duplicates.")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="Pairs to list per kind; all leaking rows are counted."
)
@runs_dir_option
@json_option
def leaks_command(
    first: str, second: str, group_by: tuple[str, ...], near: bool, threshold: float, limit: int, root: Path, as_json: bool
) -> None:  # fmt: skip
    """Find rows of B that also occur in A: identical, near-duplicate, same question, or same group. Exit code 3 when there are any.

    A and B are record files, folders written by `recipe convert`, runs, or recipes.
    """
    from tempfile import TemporaryDirectory

    import orjson

    from ...inspection.inputs import find_inputs
    from ...inspection.leaks import KINDS, Sides, find_leaks, list_pairs
    from ...inspection.previews import Preview, Previews

    with TemporaryDirectory(prefix="recipekit-") as scratch:
        folder = Path(scratch)
        sides = Sides.of(find_inputs(first, folder / "a", root), find_inputs(second, folder / "b", root))
        found = find_leaks(sides, folder, threshold if near else None, group_by, limit)
        positions = [position for listed in found.pairs.values() for pair in listed for position in pair]
        pairs = list(list_pairs(found, Previews(sides.files, positions, sides.temporary)))
    leaking = sum(found.rows.values())
    if as_json:
        bad = dict(zip(("a", "b"), found.bad, strict=True))
        rows = dict(zip(("a", "b"), found.counts, strict=True))
        result = {"leaks": leaking > 0, "rows": rows, "not_records": bad, "leaking_rows": found.rows, "pairs": pairs}
        click.echo(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    else:
        for pair in pairs:
            sides_shown = " = ".join(f"{side['file']}:{Preview(**side).position}" for side in (pair["second"], pair["first"]))
            click.echo(f"{sides_shown}  {KINDS[pair['kind']]}: {pair['second']['row'][:120]}")
        for name, count in found.rows.items():
            more = f" (first {limit} shown)" if count > limit else ""
            click.echo(f"{count:,} of {found.counts[1]:,} rows of B: {KINDS[name]} in A{more}", err=True)
        if sum(found.bad):
            click.echo(f"{sum(found.bad):,} invalid lines were not compared: see `recipe data validate`", err=True)
        if not group_by:
            click.echo("groups were not compared: use --group-by KEY", err=True)
    raise SystemExit(3 if leaking else 0)
