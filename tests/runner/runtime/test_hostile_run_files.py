"""Whatever stands in the files of a run, its readers return values of their types, or name the file: never a traceback."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recipekit.runner.evaluation.scoring import read_predictions
from recipekit.runner.runtime import run_files
from recipekit.runner.runtime.line_sums import drop_changed_lines, sums_of
from recipekit.runner.runtime.progress import each_line, read_lines
from recipekit.runner.runtime.run_files import RunFile
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.runtime.seals import read_seal, read_sealed, require_sealed, seal_faults
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.base.hashing import SEAL

FILES = [file for file in vars(run_files).values() if isinstance(file, RunFile)]
NAMES = st.sampled_from(
    ["state", "stages", "recipe", "train", "sha256", "bytes", "a.json", "eval/sealed.json", "../x", "/etc/passwd", "a\0b", "", ".", "x" * 300, "é", "model",
     "id", "reply", "reference", "messages", "event", "time", "step", "loss", "meta", "key", "sets", "status.json"]
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 2**62), st.floats(allow_nan=False), st.text(max_size=6), NAMES, st.just("0" * 64)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=10,
)
SEALS = st.dictionaries(NAMES, st.fixed_dictionaries({"sha256": VALUES}, optional={"bytes": VALUES}), max_size=4)
TEXTS = st.one_of(st.binary(max_size=40), st.one_of(VALUES, SEALS).map(orjson.dumps))
ONCE = [HealthCheck.function_scoped_fixture]


def tried(read: Callable[[], Any], file: Path) -> None:
    try:
        read()
    except UserError as error:
        assert all(str(file.parent) in str(problem) or file.name in str(problem) for problem in error.problems), error.problems


@settings(max_examples=300, deadline=None, suppress_health_check=ONCE)
@given(TEXTS, TEXTS)
def test_any_seal_is_read_or_named(tmp_path: Path, content: bytes, above: bytes) -> None:
    folder = tmp_path / "eval"
    folder.mkdir(exist_ok=True)
    (folder / "a.json").write_bytes(b"{}")
    (folder / SEAL).write_bytes(content)
    (tmp_path / SEAL).write_bytes(above)
    for read in (read_seal, require_sealed, lambda folder: read_sealed(folder / "a.json")):
        tried(lambda read=read: read(folder), folder / SEAL)
    assert all(isinstance(fault, str) for fault in seal_faults(folder))


@settings(max_examples=300, deadline=None, suppress_health_check=ONCE)
@given(st.sampled_from(FILES), TEXTS)
def test_any_json_file_of_a_run_is_read_or_named(tmp_path: Path, file: RunFile[Any], content: bytes) -> None:
    path = tmp_path / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    run = RunFolder(tmp_path)
    tried(lambda: run.find(file), path)
    assert isinstance(run.is_done, bool)
    path.unlink()


@settings(max_examples=300, deadline=None, suppress_health_check=ONCE)
@given(
    st.sampled_from(["progress.jsonl", "metrics.jsonl", "predictions.jsonl", "rows.jsonl", "judgements.jsonl"]), st.lists(TEXTS, max_size=4)
)
def test_any_lines_are_read_or_named_with_their_number(tmp_path: Path, name: str, lines: list[bytes]) -> None:
    path = tmp_path / name
    path.write_bytes(b"\n".join(lines) + b"\n")
    tried(lambda: read_lines(path, "id"), path)
    tried(lambda: list(each_line(path)), path)
    path.unlink()


LINE = st.fixed_dictionaries(
    {"model": VALUES, "id": st.one_of(NAMES, VALUES), "reply": VALUES, "reference": VALUES, "messages": VALUES},
    optional={"stopped": VALUES, "meta": VALUES},
)


@settings(max_examples=100, deadline=None, suppress_health_check=ONCE)
@given(st.lists(LINE, max_size=3), st.lists(LINE, max_size=2))
def test_any_predictions_are_read_or_named(tmp_path: Path, predicted: list[dict[str, Any]], judged: list[dict[str, Any]]) -> None:
    for name, lines in (("predictions.jsonl", predicted), ("rows.jsonl", predicted), ("judgements.jsonl", judged)):
        (tmp_path / name).write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    tried(lambda: read_predictions(tmp_path / "predictions.jsonl"), tmp_path / "predictions.jsonl")


@settings(max_examples=200, deadline=None, suppress_health_check=ONCE)
@given(st.binary(max_size=60), st.binary(max_size=200))
def test_any_hashes_of_lines_leave_only_lines_that_have_one(tmp_path: Path, content: bytes, sums: bytes) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(content)
    sums_of(path).write_bytes(sums)
    assert drop_changed_lines(path) >= 0
    assert path.read_bytes() in (b"", content) or set(path.read_bytes().splitlines()) <= set(content.splitlines())


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 5000])
def test_a_name_in_a_seal_that_no_file_can_have_is_named(tmp_path: Path, name: str) -> None:
    import json

    (tmp_path / SEAL).write_text(json.dumps({name: {"sha256": "0" * 64, "bytes": 1}}))
    assert len(seal_faults(tmp_path)) == 1
