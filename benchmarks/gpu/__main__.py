"""Speed, memory and correctness of training on this machine's GPU: recipekit, bare Axolotl and a plain TRL script over the same rows.

    python benchmarks/gpu --out gpu --data augmentedv1.jsonl            # everything, in an hour
    python benchmarks/gpu --out gpu --budget 900                        # what fits in 15 minutes; the next call continues
    python benchmarks/gpu --out gpu qlora_recipekit qlora_axolotl       # only these (--list names all)
    python benchmarks/gpu --tiny --out tiny                             # the same with a tiny model on a CPU: speeds mean nothing

Each measurement adds a line to OUT/results.jsonl when it ends, and OUT/results.md is rewritten. A measurement that is ok is not repeated
(--again does); one that failed is tried again. What cannot be measured here is skipped with the reason. The last line is one JSON object.
"""

import argparse
import json
import time
import traceback
from pathlib import Path

from measurements import WITHOUT_MODEL, Measurement, measurements
from models import prepare_model
from results import FAILED, OK, SKIPPED, Results, ratios, tables
from session import SHIPPED_ROWS, Session, Skipped

MODEL = "Qwen/Qwen2.5-1.5B-Instruct"
STEPS, TINY_STEPS = 12, 4


def main() -> None:
    """Measure what the budget holds, and print the JSON object as the last line."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="measurements (default: all)")
    parser.add_argument("--out", type=Path, default=Path("gpu-results"), help="folder of results and logs (default: gpu-results)")
    parser.add_argument("--budget", type=float, default=3600, help="seconds (default: 3600)")
    parser.add_argument("--data", type=Path, default=SHIPPED_ROWS, help="EmoGPT conversations (default: the small shipped file)")
    parser.add_argument("--model", default=MODEL, help=f"a model that is local or on the hub (default: {MODEL})")
    parser.add_argument("--random-weights", action="store_true", help="random weights of the model's size: no download")
    parser.add_argument("--tiny", action="store_true", help="a tiny model on the CPU, to try the measurements themselves")
    parser.add_argument("--again", action="store_true", help="measure again what is ok")
    parser.add_argument("--list", action="store_true", help="list the measurements")
    options = parser.parse_args()
    known = {measurement.name: measurement for measurement in measurements()}
    if options.list:
        print("\n".join(f"{name}: about {measurement.expected} s" for name, measurement in known.items()))
        return
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"no such measurement: {', '.join(unknown)} (--list names all)")
    began = time.monotonic()
    folder = options.out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    notes, names = [], options.names or [*known]
    try:
        model = prepare_model(options.model, folder, options.tiny, options.random_weights)
    except Exception as error:  # each training would fail for this reason, after half a minute
        traceback.print_exc()
        model, names = options.model, [name for name in names if name in WITHOUT_MODEL]
        notes.append(f"the model could not be prepared, so nothing trains it: {type(error).__name__}: {error}")
    session = Session(folder, model, options.data.resolve(), TINY_STEPS if options.tiny else STEPS, options.tiny)
    results = Results(folder / "results.jsonl")
    left_out = measure(session, [known[name] for name in names], results, began + options.budget, options.again)
    (folder / "results.md").write_text(tables(results.newest, left_out), encoding="utf-8")
    print(tables(results.newest, left_out))
    statuses = {name: line["status"] for name, line in results.newest.items()}
    notes += ["a tiny model on a CPU: no speed or memory here says anything about a GPU"] if options.tiny else []
    notes += ["the shipped rows, which are few and short"] if options.data == SHIPPED_ROWS else []
    print(json.dumps({"ratios": ratios(results.newest), "statuses": statuses, "no_time_for": left_out, "notes": notes}))


def measure(session: Session, wanted: list[Measurement], results: Results, deadline: float, again: bool) -> list[str]:
    """Carry out what is not done yet, while the budget holds; return the names of what it did not hold."""
    left_out = []
    for one in wanted:
        if results.is_done(one.name) and not again:
            continue
        left = deadline - time.monotonic()
        if left < one.expected:
            left_out.append(one.name)
            continue
        began = time.monotonic()
        try:
            facts = one.measure(session, min(left, one.limit * (4 if session.tiny else 1)))
        except Skipped as reason:
            facts = {"status": SKIPPED, "why": str(reason)}
        except Exception as error:  # of one measurement: the others are still worth their time
            traceback.print_exc()
            facts = {"status": FAILED, "why": f"{type(error).__name__}: {error}"}
        line = {"measurement": one.name, **facts, "seconds": round(time.monotonic() - began, 1), "tiny": session.tiny}
        results.add(line)
        try:
            (session.folder / "results.md").write_text(tables(results.newest), encoding="utf-8")
        except Exception:  # of the table: results.jsonl has the measurement, and the next is still worth its time
            traceback.print_exc()
        why = "" if line["status"] == OK else f": {line.get('why', '')}"
        print(f"{one.name}: {line['status']}{why} ({line['seconds']} s)", flush=True)
    return left_out


if __name__ == "__main__":
    main()
