"""`recipe export` of a run."""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("gguf", reason="needs the extra [train]")


def test_an_adapter_is_exported_from_its_merged_weights(tuned_run: Path, tiny_model: Path, tmp_path: Path, command_line) -> None:
    run = tmp_path / "runs" / "tiny" / "20260101-000000-aaaaaa"
    shutil.copytree(tuned_run, run)
    refused = command_line("export", run)
    assert refused.code == 1 and f"recipe merge {run}" in refused.err
    tokenizer = (run / "model" / "tokenizer.json").read_text()
    (run / "model" / "tokenizer.json").write_text(tokenizer.replace('"ByteLevel"', '"Whitespace"'))
    refused = command_line("export", run)
    assert refused.code == 1 and "llama.cpp has no name for" in refused.err and "merge" not in refused.err, "before the work of a merge"
    adapter = json.loads((run / "model" / "adapter_config.json").read_text())
    (run / "model" / "adapter_config.json").write_text(json.dumps({**adapter, "task_type": "SEQ_CLS"}))
    assert "is a classifier" in command_line("export", run).err
    shutil.copytree(tiny_model, run / "merged")
    done = command_line("export", run, "--quantise", "q8_0", "--json")
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert facts["file"] == str(run / "tiny-q8_0.gguf") and facts["model"] == str(run / "merged")
    assert Path(facts["file"]).read_bytes()[:4] == b"GGUF" and facts["bytes"] == Path(facts["file"]).stat().st_size


def test_a_file_that_is_not_a_gguf_is_never_overwritten(tiny_model: Path, tmp_path: Path, command_line) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    refused = command_line("export", tiny_model, "--out", tmp_path / "notes.txt")
    assert refused.code == 1 and "is not a GGUF file" in refused.err
    assert (tmp_path / "notes.txt").read_text() == "mine"
    done = command_line("export", tiny_model, "--out", tmp_path / "new.gguf")
    assert (done.code, done.out) == (0, f"{tmp_path / 'new.gguf'}\n")
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    done = command_line("export", model)
    assert (done.code, done.out) == (0, f"{tmp_path / 'model-f16.gguf'}\n"), "GGUF is what it writes: no option is needed"
