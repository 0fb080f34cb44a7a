"""A damaged Parquet, Arrow or Feather file is refused or read: no traceback, and no crash of the process that reads it."""

import subprocess
import sys

import pytest

PROGRAM = """
import io, random, sys
import pyarrow as pa, pyarrow.feather as feather, pyarrow.ipc as ipc, pyarrow.parquet as parquet
from recipekit.converters.reading.tables import read_arrow, read_parquet
from recipekit.schemas.base.errors import UserError

table = pa.table({"text": ["a", "bb", "ccc"] * 20, "number": range(60), "list": [[1, 2], [], None] * 20, "object": [{"a": 1, "b": "q"}] * 60,
                  "label": pa.array(["x", "y", "x"] * 20).dictionary_encode(), "time": pa.array([1, 2, 3] * 20, pa.timestamp("us", tz="UTC"))})

def write(form, target):
    if form == "parquet":
        parquet.write_table(table, target)
    elif form == "feather":
        feather.write_feather(table, target, compression="lz4")
    else:
        with (ipc.new_file if form == "file" else ipc.new_stream)(target, table.schema) as writer:
            writer.write_table(table)

form, target, refused = sys.argv[1], io.BytesIO(), 0
write(form, target)
for seed in range(100):
    draw, content = random.Random(seed), bytearray(target.getvalue())
    for _ in range(draw.choice([1, 2, 8, 30])):
        content[draw.randrange(len(content))] = draw.randrange(256)
    try:
        list((read_parquet if form == "parquet" else read_arrow)(io.BytesIO(bytes(content[: draw.choice([None, None, len(content) // 2])])), "f"))
    except UserError as error:
        assert error.problems[0].location.file == "f"
        refused += 1
print(refused)
"""


@pytest.mark.parametrize("form", ["parquet", "file", "stream", "feather"])
def test_damaged_tables_are_refused_or_read(form):
    done = subprocess.run([sys.executable, "-c", PROGRAM, form], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 50
