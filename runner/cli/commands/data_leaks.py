"""`recipe data leaks`: what two sets of records share and should not."""

from pathlib import Path

import click

from ..ranges import Between


@click.command("leaks")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--group-by", multiple=True, metavar="KEY", help="A key of meta (or text) whose equal values must not stand on both sides.")
@click.option("--near/--no-near", default=True, show_default=True, help="Look for nearly equal rows.")
@click.option("--threshold", type=Between(0.5, 1), default=0.7, show_default=True, help="The similarity of nearly equal rows.")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="Pairs told of each kind; all leaking rows are counted."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def leaks_command(
    first: str, second: str, group_by: tuple[str, ...], near: bool, threshold: float, limit: int, as_json: bool
) -> None:  # fmt: skip
    """Find rows of B that stand in A too: equal, nearly equal, the same question, or the same group. Ends with 3 when there are any.

    A and B are files of records, folders that recipe convert wrote, runs, or recipes.
    """
    from tempfile import TemporaryDirectory

    import orjson

    from ...inspection.inputs import find_inputs
    from ...inspection.leaks import KINDS, Sides, compare, told
    from ...inspection.previews import Preview, Previews

    with TemporaryDirectory(prefix="recipekit-") as scratch:
        folder = Path(scratch)
        sides = Sides.of(find_inputs(first, folder / "a"), find_inputs(second, folder / "b"))
        found = compare(sides, folder, threshold if near else None, group_by, limit)
        places = [place for listed in found.pairs.values() for pair in listed for place in pair]
        pairs = list(told(found, Previews(sides.files, places, sides.passing)))
    leaking = sum(found.rows.values())
    if as_json:
        bad = dict(zip(("a", "b"), found.bad, strict=True))
        rows = dict(zip(("a", "b"), found.counts, strict=True))
        result = {"leaks": leaking > 0, "rows": rows, "not_records": bad, "leaking_rows": found.rows, "pairs": pairs}
        click.echo(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    else:
        for pair in pairs:
            sides_told = " = ".join(f"{side['file']}:{Preview(**side).place}" for side in (pair["second"], pair["first"]))
            click.echo(f"{sides_told}  {KINDS[pair['kind']]}: {pair['second']['row'][:120]}")
        for name, count in found.rows.items():
            more = f" (the first {limit} are listed)" if count > limit else ""
            click.echo(f"{count:,} of {found.counts[1]:,} rows of B: {KINDS[name]} stands in A{more}", err=True)
        if sum(found.bad):
            click.echo(f"{sum(found.bad):,} lines are no valid records and were not compared: recipe data validate tells why", err=True)
        if not group_by:
            click.echo("groups were not compared: name their keys with --group-by", err=True)
    raise SystemExit(3 if leaking else 0)
