"""results.jsonl: a line for each measurement as it ends. The newest line of a name counts; one that is ok is not measured again."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

OK, FAILED, SKIPPED, TIMEOUT = "ok", "failed", "skipped", "timeout"
SIDES = ("recipekit", "axolotl", "trl")
NONE = "-"


class Results:
    """The lines of a file, and those that are added to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self.newest: dict[str, dict[str, Any]] = {line["measurement"]: line for line in map(json.loads, lines)}

    def add(self, line: dict[str, Any]) -> None:
        """Append a line, on the disk before this returns."""
        self.newest[line["measurement"]] = line
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, default=str) + "\n")

    def is_done(self, name: str) -> bool:
        """Whether a measurement needs no other try."""
        return self.newest.get(name, {}).get("status") == OK


def ratios(newest: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Compare tokens/s of recipekit with that of each other side, method by method, where both were measured."""
    found = {}
    for name, line in newest.items():
        method, _, side = name.partition("_")
        ours, theirs = (_rate(one) for one in (newest.get(f"{method}_recipekit", {}), line))
        if side in SIDES[1:] and ours and theirs:
            found[f"{method}_vs_{side}"] = round(ours / theirs, 3)
    return found


def _rate(line: dict[str, Any]) -> float | None:
    return (line.get("steps") or {}).get("tokens_per_s") if line.get("status") == OK else None


def tables(newest: dict[str, dict[str, Any]], left_out: Iterable[str] = ()) -> str:
    """Write the results in Markdown: what was measured where, speeds, memory, engines, and what was not measured and why. There was no
    time for what is `left_out`."""
    machine = newest.get("machine", {})
    head = ", ".join(str(machine[key]) for key in ("device", "torch", "recipekit") if machine.get(key))
    parts = [f"# Measured: {head or 'machine unknown'}", _ceilings(machine), _speeds(newest), _memory(newest), _engines(newest)]
    parts += [_learning(newest), _parity(newest), _missing(newest, left_out)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    cells = [[NONE if cell is None else str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    columns = list(heads)
    return "\n".join(f"| {' | '.join(row)} |" for row in [columns, ["---"] * len(columns), *cells]) if cells else ""


def _ceilings(machine: dict[str, Any]) -> str:
    if machine.get("bf16_tflops") is None:
        return "No GPU: matrix product and copy rates were not measured; speeds of this table say nothing about a GPU." if machine else ""
    return f"Matrix product {machine['bf16_tflops']} TFLOP/s in bf16, copy {machine['copy_tb_s']} TB/s."


def _speeds(newest: dict[str, dict[str, Any]]) -> str:
    compared = ratios(newest)
    rows = []
    for name, line in newest.items():
        method, _, side = name.partition("_")
        if side not in SIDES or not _rate(line):
            continue
        steps, profile = line["steps"], line.get("profile") or {}
        kinds = profile.get("by_kind_s") or {}
        matmul = f"{kinds.get('matmul', 0) / sum(kinds.values()):.0%}" if kinds else None
        floor = f"{line['floor_s'] / steps['step_s']:.0%}" if line.get("floor_s") else None
        busy = f"{profile['busy_s'] / steps['step_s']:.0%}" if profile.get("busy_s") else None
        ratio, padding = compared.get(f"{method}_vs_{side}"), f"{steps['padding']:.0%}"
        peak = f"{steps['peak_memory'] / 1e9:.2f} GB" if steps.get("peak_memory") else None
        rows.append((method, side, steps["step_s"], steps["tokens_per_s"], ratio and f"{ratio} x", padding, peak, busy, matmul, floor))
    heads = ("method", "side", "s per step", "tokens/s", "recipekit against it", "padding", "peak", "GPU busy", "matrix products",
             "FLOP floor / step")  # fmt: skip
    return _table(heads, rows) and "## Speed\n\n" + _table(heads, rows)


def _memory(newest: dict[str, dict[str, Any]]) -> str:
    rows = []
    for name, line in newest.items():
        memory = line.get("memory") or {}
        if memory.get("predicted") and memory.get("peak"):
            off = memory["predicted"] / memory["peak"] - 1
            rows.append((name, f"{memory['predicted'] / 1e9:.2f} GB", f"{memory['peak'] / 1e9:.2f} GB", f"{off:+z.0%}"))
    heads = ("measurement", "predicted", "peak", "prediction is off by")
    return _table(heads, rows) and "## Memory\n\n" + _table(heads, rows)


def _engines(newest: dict[str, dict[str, Any]]) -> str:
    rows = [(name, line["saved"], "yes" if line["resumed"] else "no", line["largest_difference"])
            for name, line in newest.items() if "resumed" in line]  # fmt: skip
    heads = ("engine", "stopped with", "resumed to the end", "largest difference to local's losses")
    return _table(heads, rows) and "## Engines: trained, stopped, resumed\n\n" + _table(heads, rows)


def _learning(newest: dict[str, dict[str, Any]]) -> str:
    models = newest.get("learning", {}).get("models", {})
    names = list(dict.fromkeys(metric for model in models.values() for metric in model))
    rows = [(name, *(model.get(name) for model in models.values())) for name in names]
    return _table(("metric", *models), rows) and "## Learning\n\n" + _table(("metric", *models), rows)


def _parity(newest: dict[str, dict[str, Any]]) -> str:
    rows = [(case["case"], case["difference"], case["tolerance"], "yes" if case["within"] else "NO")
            for case in newest.get("parity", {}).get("cases", [])]  # fmt: skip
    heads = ("kernel against the plain computation", "largest relative difference", "tolerance", "within")
    return _table(heads, rows) and "## Parity\n\n" + _table(heads, rows)


def _missing(newest: dict[str, dict[str, Any]], left_out: Iterable[str]) -> str:
    rows = [(name, line["status"], line.get("why", "")) for name, line in newest.items() if line["status"] != OK and name not in left_out]
    rows += [(name, "no time", "the same call continues here") for name in left_out]
    heads = ("measurement", "status", "why")
    return _table(heads, rows) and "## Not measured\n\n" + _table(heads, rows)
