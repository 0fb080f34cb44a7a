"""Parquet and Arrow tables, as several writers write them, whole, compressed and cut off."""

import gzip
import io
import json

import pytest
from recipekit.converters.reading.files import SourceFile
from recipekit.converters.reading.readers import read_file
from recipekit.converters.reading.tables import class_labels, label_names, read_parquet
from recipekit.schemas.base.errors import UserError

pa = pytest.importorskip("pyarrow")
ROWS = [{"text": f"row {number}", "stars": number % 5 or None, "tags": ["a", "b"], "who": {"name": "Ann"}} for number in range(3000)]
FEATURES = {"info": {"features": {"stars": {"names": ["zero", "one", "two", "three", "four"], "_type": "ClassLabel"}}}}


def packed(kind, rows=ROWS, metadata=None):
    """The rows' bytes in a format of Arrow's."""
    import pyarrow.feather
    import pyarrow.parquet

    table, sink = pa.Table.from_pylist(rows).replace_schema_metadata(metadata), io.BytesIO()
    if kind == "parquet":
        pyarrow.parquet.write_table(table, sink, row_group_size=700)
    elif kind == "feather":
        pyarrow.feather.write_feather(table, sink, compression="zstd")
    else:
        with (pa.ipc.new_file if kind == "file" else pa.ipc.new_stream)(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=700)
    return sink.getvalue()


def read(tmp_path, content):
    path = tmp_path / "no-extension"
    path.write_bytes(content)
    kind, rows = read_file(SourceFile(path, "rows"), "values")
    return kind, list(rows)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda content: pa.compress(content, "zstd", asbytes=True)])
@pytest.mark.parametrize("kind", ["parquet", "feather", "file", "stream"])
def test_rows_round_trip_in_every_format_and_compression(tmp_path, kind, pack):
    found, rows = read(tmp_path, pack(packed(kind)))
    assert found == ("parquet" if kind == "parquet" else "arrow")
    assert [row.value for row in rows] == ROWS
    assert [row.line for row in rows] == list(range(1, 3001))


@pytest.mark.parametrize("kind", ["parquet", "feather", "file", "stream"])
@pytest.mark.parametrize("left", [0.3, 0.7, -1, -9, -20])
def test_a_truncated_file_is_refused(tmp_path, kind, left):
    content = packed(kind)
    with pytest.raises(UserError, match="end"):
        read(tmp_path, content[: int(left * len(content)) if left > 0 else left])


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_streams_that_were_joined_are_refused(tmp_path, pack):
    """Arrow reads the first, and would leave the rows of the others out."""
    with pytest.raises(UserError, match="goes on after its end mark"):
        read(tmp_path, pack(packed("stream") * 2))


def test_a_parquet_file_of_a_billion_equal_rows_is_refused_before_they_are_read(tmp_path):
    import pyarrow.parquet

    equal = pa.table({"text": pa.DictionaryArray.from_arrays(pa.array([0] * 2_000_000, pa.int8()), pa.array(["a"]))})
    pyarrow.parquet.write_table(equal, path := tmp_path / "rows.parquet", compression="zstd")
    with path.open("rb") as stream, pytest.raises(UserError, match="bytes unpack to 2,000,000 rows: refused as a decompression bomb"):
        next(read_parquet(stream, "rows"))


def test_a_damaged_file_is_refused(tmp_path):
    content = bytearray(packed("parquet"))
    content[-200:-100] = b"x" * 100
    with pytest.raises(UserError, match="cannot be read to its end"):
        read(tmp_path, bytes(content))


@pytest.mark.parametrize("kind", ["parquet", "stream"])
def test_class_labels_of_a_data_set_come_by_name(tmp_path, kind):
    _, rows = read(tmp_path, packed(kind, ROWS[:6], {"huggingface": json.dumps(FEATURES)}))
    assert [row.value["stars"] for row in rows] == [None, "one", "two", "three", "four", None]


@pytest.mark.parametrize("written", [lambda label: {"feature": label, "_type": "List"}, lambda label: [label]])
def test_the_class_labels_in_a_list_come_by_name(tmp_path, written):
    features = {"info": {"features": {"labels": written({"names": ["joy", "anger"], "_type": "ClassLabel"})}}}
    rows = [{"labels": [0]}, {"labels": [1, 0]}, {"labels": None}]
    _, found = read(tmp_path, packed("parquet", rows, {"huggingface": json.dumps(features)}))
    assert [row.value["labels"] for row in found] == [["joy"], ["anger", "joy"], None]


def test_numbers_without_a_name_stay_and_minus_one_is_none():
    named = label_names(["a", "b"])
    assert [named(value) for value in (0, 1, 2, -1, None, "a")] == ["a", "b", 2, None, None, "a"]


@pytest.mark.parametrize("metadata", [b"", b"{", b"[]", b'{"info": 1}', b'{"info": {"features": {"a": 1, "b": {"_type": "ClassLabel"}}}}'])
def test_metadata_without_features_gives_none(metadata):
    assert class_labels({b"huggingface": metadata}) == []


def test_a_column_that_occurs_twice_is_refused(tmp_path):
    sink = io.BytesIO()
    table = pa.table([[1], [2]], names=["a", "a"])
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(UserError, match="same column twice"):
        read(tmp_path, sink.getvalue())
