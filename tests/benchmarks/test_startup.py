"""The start-up benchmark runs and gives every ratio by name. Their limits are in docs/measurements.md."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "startup.py"


def test_every_ratio_is_measured_on_both_sides() -> None:
    result = subprocess.run([sys.executable, SCRIPT, "--quick", "--without-axolotl"], capture_output=True, text=True, check=True)
    measured = json.loads(result.stdout.splitlines()[-1])
    milliseconds = measured["cpu_ms"]
    assert abs(measured["check_vs_import"] - milliseconds["check"] / milliseconds["import"]) < 0.05
    assert measured["check_100_vs_5"] > 0
    assert measured["check_vs_axolotl"] is None and "axolotl was left out" in measured["notes"]
    missing = "check-jsonschema is not installed next to this Python" in measured["notes"]
    assert (measured["check_vs_check_jsonschema"] is None) == missing
