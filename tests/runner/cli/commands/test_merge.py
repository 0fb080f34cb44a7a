"""`recipe merge` of what cannot be merged; merging itself, in a real run: ../test_run.py."""

import json
import shutil
from pathlib import Path


def test_a_run_without_an_adapter_has_nothing_to_merge(tuned_run: Path, tiny_model: Path, tmp_path: Path, command_line) -> None:
    run = tmp_path / "run"
    shutil.copytree(tuned_run, run)
    shutil.rmtree(run / "model")
    shutil.copytree(tiny_model, run / "model")
    refused = command_line("merge", run)
    assert refused.code == 1 and "has no adapter to merge: all weights were trained" in refused.err
    (run / "status.json").write_text(json.dumps({"state": "failed", "stages": {}}))
    refused = command_line("merge", run)
    assert refused.code == 1 and "has no trained model" in refused.err
    assert command_line("merge", "nothing", "--runs-dir", tmp_path).code == 1
