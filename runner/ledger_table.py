"""The account of a conversion as a table on the terminal."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def ledger_table(manifest: dict[str, Any], out: Path) -> None:
    """Print rows in, kept and dropped by reason, and the splits, to stderr."""
    table = Table("rows", "", title=f"{manifest['type']} records in {out}", title_justify="left")
    table.add_row(f"{manifest['rows_in']:,}", "in")
    for reason, count in manifest["dropped"].items():
        table.add_row(f"-{count:,}", f"dropped: {reason.replace('_', ' ')}")
    table.add_row(f"{manifest['rows_kept']:,}", "kept", end_section=True)
    for reason, count in manifest["changed"].items():
        table.add_row(f"{count:,}", f"noted: {reason.replace('_', ' ')}")
    for split, count in manifest["splits"].items():
        table.add_row(f"{count:,}", split)
    table.columns[0].justify = "right"
    Console(stderr=True, markup=False).print(table)
