"""Readers under a fuzzer that follows their branches: python benchmarks/fuzz_readers.py [CORPUS_DIR] -max_total_time=600

Needs `pip install atheris` (Linux, no part of the project's extras). Whatever bytes a file has, its reader gives rows and drops with a
line each, or refuses the file with a UserError. What was found so far stands as cases in tests/converters.
"""

import io
import sys
from collections.abc import Iterable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["recipekit.converters"]):
    from recipekit.converters.reading.contents import sniff, text_format
    from recipekit.converters.reading.delimited import is_table, table_format
    from recipekit.converters.reading.readers import READERS, read_lines, read_whole
    from recipekit.converters.reading.records import Drop, Row
    from recipekit.converters.sources.mbti_table import read_posts
from recipekit.schemas.base.errors import UserError

EXAMPLES = Path(__file__).resolve().parent.parent / "tests" / "examples" / "converters"
SKIPPED = ("parquet", "arrow")  # read by another library


def check(items: Iterable[Row | Drop]) -> None:
    """Every item says where it comes from; a drop also why."""
    for item in items:
        row = item.row if isinstance(item, Drop) else item
        assert row.line >= 1 and row.file == "f", item
        assert not isinstance(item, Drop) or item.reason.replace("_", "").isalnum(), item


def one(data: bytes) -> None:
    """One input, by its own format and as text."""
    kind = sniff(data)
    text_format(data)
    is_table(data)
    kinds = {kind, "json", table_format(data)} if kind not in SKIPPED else {"jsonl", "json"}
    readers = [READERS[name] for name in kinds if name in READERS and name not in SKIPPED]
    for reader in (*readers, read_lines, read_whole, read_posts):
        try:
            check(reader(io.BytesIO(data), "f"))
        except UserError as error:
            assert error.problems


def main() -> None:
    """Start from the examples of the converters, unless a corpus is given."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        corpus = Path("fuzz_corpus")
        corpus.mkdir(exist_ok=True)
        for path in EXAMPLES.rglob("input*"):
            if path.is_file():
                (corpus / f"{path.parent.parent.name}-{path.parent.name}{path.suffix}").write_bytes(path.read_bytes())
        sys.argv.insert(1, str(corpus))
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
