"""The start-up benchmark runs, and what it promises holds with room for a busy machine."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "startup.py"


def test_checking_is_as_quick_as_promised() -> None:
    result = subprocess.run([sys.executable, SCRIPT, "--quick"], capture_output=True, text=True, check=True)
    measured = json.loads(result.stdout.splitlines()[-1])
    assert measured["check_vs_import"] <= 1.6 * 1.15
    assert measured["check_100_vs_5"] <= 2.0
    if measured["check_vs_check_jsonschema"] is None:
        assert "check-jsonschema is not installed beside this python" in measured["notes"]
    else:
        assert measured["check_vs_check_jsonschema"] <= 0.4
    if measured["check_vs_axolotl"] is None:
        assert "axolotl is not installed in this python" in measured["notes"]
    else:
        assert measured["check_vs_axolotl"] <= 0.1
