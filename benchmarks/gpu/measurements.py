"""The measurements in the order of their value. Each has the seconds that it is expected to take on a GPU and the most it may take."""

import json
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import engines
import sides
from learning import learning
from results import FAILED, OK, TIMEOUT
from session import HERE, RECIPE, Measure, Session, Skipped
from sides import METHODS, WIDE


class Measurement(NamedTuple):
    """`measure` gets the session and the seconds that it may take, and returns a line of results.jsonl."""

    name: str
    expected: int
    limit: int
    measure: Measure


def machine(session: Session, limit: float) -> dict[str, Any]:
    """Which device, which versions, and the ceilings of a GPU."""
    folder = session.place("machine")
    done = session.run((sys.executable, HERE / "machine.py"), folder, limit)
    return done.facts() | (json.loads(done.stdout) if done.code == 0 else {})


def parity(session: Session, limit: float) -> dict[str, Any]:
    """Kernels against the plain computation, values and gradients. failed: one is outside its tolerance."""
    folder = session.place("parity")
    done = session.run((sys.executable, HERE / "parity.py"), folder, limit)
    if done.code:
        return done.facts()
    cases = json.loads(done.stdout)
    measured = [case for case in cases if "within" in case]
    wrong = [f"{case['case']} is outside its tolerance" for case in measured if not case["within"]]
    wrong += [f"{case['case']}: {case['failed']}" for case in cases if "failed" in case]
    facts = {"cases": measured, "skipped_cases": [case for case in cases if "skipped" in case]}
    return facts | ({"status": FAILED, "why": "; ".join(wrong)} if wrong else {"status": OK})


def doctor(session: Session, limit: float) -> dict[str, Any]:
    """`recipe doctor emogpt_qwen`: the kernels that it would use here, and why."""
    folder = session.place("doctor")
    done = session.run((*RECIPE, "doctor", "emogpt_qwen", "--json"), folder, limit)
    if not done.stdout.startswith("{"):
        return done.facts()
    facts = json.loads(done.stdout)
    row = facts["recipes"][0]
    return {"status": OK, "missing": facts["missing"], "kernels": row["kernels"], "problems": row["problems"]}


def side(method: str, name: str, session: Session, limit: float) -> dict[str, Any]:
    """One method on one side: seconds a step, tokens/s, padding, memory, and where the time went."""
    folder = session.place(f"{method}_{name}")
    facts = getattr(sides, name)(session, method, folder, limit)
    engines.free(folder)
    ceiling = machine_ceiling(session)
    if ceiling and facts["flops_per_step"]:
        facts["floor_s"] = round(facts["flops_per_step"] / ceiling, 4)
    steps = facts["steps"]
    if facts["status"] == OK and not steps:
        return facts | {"status": FAILED, "why": "no step was seen"}
    if steps and (wrong := engines.with_losses({}, steps.get("losses", []))).get("status"):
        return facts | wrong | {"steps": steps | {"losses": wrong["losses"]}}
    if facts["status"] == TIMEOUT and steps and steps["seen"] == session.steps:
        return facts | {"status": OK, "note": f"every step was measured; the model was not saved after {limit:.0f} s"}
    return facts


def machine_ceiling(session: Session) -> float | None:
    """FLOP/s of a matrix product, as measured on this machine; None where it was not."""
    lines = [line for line in engines.read_lines(session.folder / "results.jsonl") if line["measurement"] == "machine"]
    tflops = lines[-1].get("bf16_tflops") if lines else None
    return tflops * 1e12 if tflops else None


def kernels(session: Session, limit: float) -> dict[str, Any]:
    """The kernels that recipekit uses here against `training.kernels: off`: the losses of the same steps, without dropout."""
    if not session.on_gpu:
        raise Skipped("needs a GPU: the kernels are written for CUDA")
    losses = {}
    for name, on in (("plain", "off"), ("kernels", "auto")):
        folder = session.place(f"kernels_{name}")
        more = {"training.lora_dropout": 0, "training.kernels": on}
        facts = sides.recipekit(session, "lora", folder, limit / 2, **more)
        engines.free(folder)
        if facts["status"] != OK or not facts["steps"]:
            return facts | {"why": f"{name}: {facts.get('why', 'no step was seen')}"}
        losses[name] = facts["steps"]["losses"]
    return {"status": OK, "losses": losses, "largest_difference": engines.difference(losses["plain"], losses["kernels"])}


# What 15 minutes hold of this, by the seconds expected, is a speed of every method, its memory, and each way to share a training.
ORDER = (
    "machine", "doctor", "parity", "qlora_recipekit", "qlora_axolotl", "qlora_trl", "full_recipekit", "lora_recipekit", "local", "fsdp2",
    "zero2", "zero3", "full_axolotl", "lora_axolotl", "wide_recipekit", "wide_axolotl", "learning", "ray", "verify_resume", "kernels",
    "full_trl", "lora_trl",
)  # fmt: skip
WITHOUT_MODEL = ("machine", "doctor", "parity", "learning")


def measurements() -> list[Measurement]:
    """Return all of them, the most valuable first."""
    known = {measurement.name: measurement for measurement in _measurements()}
    return [known[name] for name in ORDER]


def _measurements() -> Iterator[Measurement]:
    yield Measurement("machine", 15, 90, machine)
    yield Measurement("doctor", 8, 60, doctor)
    yield Measurement("parity", 25, 120, parity)
    for method in METHODS:
        for name in ("recipekit", "axolotl", "trl"):
            # A checkpoint of all fp32 weights with their optimizer has 12 bytes a weight.
            expected, most = (80, 300) if (method, name) == ("full", "recipekit") else (50, 180)
            yield Measurement(f"{method}_{name}", expected, most, partial(side, method, name))
    for name in ("recipekit", "axolotl"):
        yield Measurement(f"{WIDE}_{name}", 50, 180, partial(side, WIDE, name))
    for engine in engines.ENGINES:
        stop_and_resume = partial(lambda engine, session, limit: engines.stop_and_resume(session, engine, limit), engine)
        yield Measurement(engine, 90, 240, stop_and_resume)
    yield Measurement("verify_resume", 150, 300, engines.verify_resume)
    yield Measurement("kernels", 80, 240, kernels)
    yield Measurement("learning", 180, 480, learning)
