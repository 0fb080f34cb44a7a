"""A damaged Parquet, Arrow or Feather file is refused or read: no traceback, and no crash of the process that reads it."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from recipekit.converters.reading.table_process import _received, rows_of
from recipekit.schemas.base.errors import UserError

pyarrow = pytest.importorskip("pyarrow")

PROGRAM = """
import io, random, sys
import pyarrow as pa, pyarrow.feather as feather, pyarrow.ipc as ipc, pyarrow.parquet as parquet
from recipekit.converters.reading.tables import read_arrow, read_parquet
from recipekit.schemas.base.errors import UserError

table = pa.table({"text": ["a", "bb", "ccc"] * 20, "number": range(60), "list": [[1, 2], [], None] * 20, "object": [{"a": 1, "b": "q"}] *
60,
                  "label": pa.array(["x", "y", "x"] * 20).dictionary_encode(), "time": pa.array([1, 2, 3] * 20, pa.timestamp("us",
                  tz="UTC"))})

def write(form, target):
    if form == "parquet":
        parquet.write_table(table, target)
    elif form == "feather":
        feather.write_feather(table, target, compression="lz4")
    else:
        with (ipc.new_file if form == "file" else ipc.new_stream)(target, table.schema) as writer:
            writer.write_table(table)

form, mutants, target, refused = sys.argv[1], int(sys.argv[2]), io.BytesIO(), 0
write(form, target)
for seed in range(mutants):
    draw, content = random.Random(seed), bytearray(target.getvalue())
    for _ in range(draw.choice([1, 2, 8, 30])):
        content[draw.randrange(len(content))] = draw.randrange(256)
    try:
        list((read_parquet if form == "parquet" else read_arrow)(io.BytesIO(bytes(content[: draw.choice([None, None, len(content) // 2])])),
        "f"))
    except UserError as error:
        assert error.problems[0].location.file == "f"
        refused += 1
print(refused)
"""


FORMS = ["parquet", "file", "stream", "feather"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mutants", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_damaged_tables_are_refused_or_read(form, mutants):
    done = subprocess.run([sys.executable, "-c", PROGRAM, form, str(mutants)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= mutants // 2


@pytest.fixture
def table(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.table({"n": list(range(50_000))}), path)
    return path


def readers():
    """The processes that read a table for this one."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [int(child) for child in children if b"table_process" in Path(f"/proc/{child}/cmdline").read_bytes()]


ENDS = ["os.kill(os.getpid(), signal.SIGSEGV)", "os.abort()", "os._exit(3)", "os.write(1, bytes(3))", "os.write(1, bytes([9] + [0] * 7))"]


@pytest.mark.parametrize("end", ENDS)
def test_a_reader_that_crashes_is_reported_as_a_file_error(end):
    process = subprocess.Popen([sys.executable, "-c", f"import os, signal\n{end}"], stdout=subprocess.PIPE)
    with process, pytest.raises(UserError, match="its reader crashed") as refused:
        list(_received(process, process.stdout, "rows.parquet"))
    assert refused.value.problems[0].location.file == "rows.parquet"


def framed(content: bytes) -> str:
    return f"os.write(1, {len(content).to_bytes(8, 'little') + content!r})"


class Canary:
    def __reduce__(self):
        return (os.mkdir, ("canary",))


MESSAGES = [pickle.dumps(("rows", [Canary()])), b"3", b"[1]", b"[" * 100_000, b'{"type": "rows", "rows": [[1]]}', b'{"type": "rows", "rows": [["1", 2, "", ""]]}',
            b'{"type": "refused", "problems": ["x"]}', b'{"type": "more"}', b'{"rows": []}', b"\xff", b"{}"]  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES, ids=range(len(MESSAGES)))
@pytest.mark.parametrize("goes_on", [True, False])
def test_a_compromised_reader_runs_nothing_and_is_not_trusted(message, goes_on, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("recipekit.converters.reading.table_process._ENDING_SECONDS", 0.2)
    program = f"import os, time\n{framed(message)}\ntime.sleep({600 if goes_on else 0})"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    with process, pytest.raises(UserError, match="its reader crashed"):
        list(_received(process, process.stdout, "rows.parquet"))
    assert process.returncode is not None
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_is_killed_takes_nothing_with_it(table):
    with table.open("rb") as stream:
        rows = rows_of("parquet", stream, "rows.parquet")
        assert next(rows).value == {"n": 0}
        (child,) = readers()
        os.kill(child, signal.SIGKILL)
        with pytest.raises(UserError, match=r"its reader crashed \(SIGKILL\)"):
            list(rows)


def test_a_consumer_that_stops_leaves_no_process(table):
    with table.open("rb") as stream:
        rows = rows_of("parquet", stream, "rows.parquet")
        next(rows)
        rows.close()
    assert readers() == []
