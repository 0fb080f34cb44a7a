"""General sources end to end: any table format in any compression, folders with other things in them, globs; the manifest says what was."""

import gzip
import io
import json
from pathlib import Path

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Data, Source, Split

pa = pytest.importorskip("pyarrow")
ROWS = [{"text": f"text {number}; with, marks", "label": "ab"[number % 2]} for number in range(40)]


def delimited(location):
    quoted = (f'"{row["text"]}"{location}{row["label"]}\n' for row in ROWS)
    return (f"text{location}label\n" + "".join(quoted)).encode()


def parquet():
    import pyarrow.parquet

    sink = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(ROWS), sink)
    return sink.getvalue()


def arrow():
    table, sink = pa.Table.from_pylist(ROWS), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


FORMATS = {
    "csv": lambda: delimited(","), "tsv": lambda: delimited("\t"), "csv with semicolons": lambda: delimited(";"),
    "csv with pipes": lambda: delimited("|"), "json": lambda: json.dumps(ROWS, indent=1).encode(),
    "jsonl": lambda: b"".join(json.dumps(row).encode() + b"\n" for row in ROWS), "parquet": parquet, "arrow": arrow,
}  # fmt: skip


def converted(path, out, **source):
    data = Data("classification", (Source(str(path), "table", **source),), split=Split(validation=0), dedup="none")
    manifest = build(data, out)
    return manifest, [json.loads(line) for line in (out / "train.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_format_is_recognised_by_content_under_a_wrong_name_and_compressed(tmp_path, kind):
    packs = {"rows.png": bytes, "rows.csv": gzip.compress, "rows.json": lambda content: pa.compress(content, "zstd", asbytes=True)}
    for name, pack in packs.items():
        (tmp_path / name).write_bytes(pack(FORMATS[kind]()))
        manifest, records = converted(tmp_path / name, tmp_path / "out")
        assert [file["format"] for file in manifest["sources"][0]["files"]] == [kind]
        assert [{"text": r["text"], "label": r["label"]} for r in records] == ROWS


def folder(root: Path) -> Path:
    for name, content in {
        "a.csv": delimited(","), "b/rows": arrow(), "run.log": b"2025-07-14 22:28:27,858 - Starting\n2025-07-14 22:28:28,000 - Done\n",
        "README.md": b"# Rows\n\nAsk, before use.\n",
    }.items():  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_logs_and_notes_in_a_folder_are_not_read_and_the_manifest_names_them(tmp_path):
    manifest, records = converted(folder(tmp_path / "mine"), tmp_path / "out")
    assert len(records) == 80
    assert manifest["dropped"] == {}
    assert {file["name"]: file["format"] for file in manifest["sources"][0]["files"]} == {
        "README.md": "text, not a table: skipped", "a.csv": "csv", "b/rows": "arrow", "run.log": "text, not a table: skipped",
    }  # fmt: skip


def test_a_folder_without_data_is_a_mistake(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "run.log").write_text("it began\nit ended\n")
    with pytest.raises(UserError, match="none of the folder's 1 files is data"):
        converted(tmp_path / "mine", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_about_the_data_of_a_folder_is_no_text_of_it(tmp_path):
    for name, text in {"a.txt": "It rained.", "README.md": "# Texts", "LICENSE": "As is.", "dataset_infos.json": "{}"}.items():
        (tmp_path / name).write_text(text)
    data = Data("text", (Source(str(tmp_path), "text"),), split=Split(validation=0))
    manifest = build(data, tmp_path / ".out")
    (line,) = (tmp_path / ".out" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["text"] == "It rained."
    assert [file["name"] for file in manifest["sources"][0]["files"] if "skipped" in file["format"]] == ["LICENSE", "README.md"]


def test_a_named_file_is_always_read(tmp_path):
    path = tmp_path / "one-column"
    path.write_text("text\nonly this\n")
    data = Data("text", (Source(str(path), "table"),), split=Split(validation=0))
    assert build(data, tmp_path / "out")["rows_kept"] == 1


def test_files_of_one_name_that_a_glob_finds_keep_ids_apart(tmp_path):
    for name in ("x/rows.csv", "y/rows.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(delimited(","))
    manifest, records = converted(tmp_path / "*" / "rows.csv", tmp_path / "out")
    assert len({record["id"] for record in records}) == 80
    assert [file["name"] for file in manifest["sources"][0]["files"]] == ["x/rows.csv", "y/rows.csv"]


def test_a_folder_that_datasets_saved_gives_its_labels_by_name(tmp_path):
    pytest.importorskip("datasets")
    import subprocess
    import sys

    script = f"""
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
features = Features({{"text": Value("string"), "label": ClassLabel(names=["sad", "glad"])}})
rows = Dataset.from_dict({{"text": [f"row {{n}}" for n in range(50)], "label": [n % 2 for n in range(50)]}}, features=features)
rows.map(lambda row: row)
DatasetDict(train=rows.shuffle(seed=1).select(range(40)), test=rows.select(range(40, 50))).save_to_disk({str(tmp_path / "mine")!r},
num_shards={{"train": 2, "test": 1}})
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    with pytest.raises(UserError, match="holds files of several splits"):
        converted(tmp_path / "mine", tmp_path / "out")
    found = {name: converted(tmp_path / "mine" / name, tmp_path / name) for name in ("train", "test")}
    assert {name: len(records) for name, (_, records) in found.items()} == {"train": 40, "test": 10}
    for manifest, records in found.values():
        assert manifest["labels"] == ["glad", "sad"]
        assert all(record["label"] == ["sad", "glad"][int(record["text"].split()[1]) % 2] for record in records)
