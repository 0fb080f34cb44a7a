"""The GPU benchmark: its sums and tables by hand, what it skips without a GPU, and one real measurement with a tiny model."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from recipekit.schemas.recipe import load_recipe

from ..support.waiting import is_running, wait_until

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu"
MODULES = ("results", "session", "sides", "engines", "learning", "measurements", "models")


@pytest.fixture(scope="module")
def benchmark():
    """The benchmark's modules by name; they are no package, as its folder is run."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: __import__(name) for name in MODULES}
    finally:
        sys.path.remove(str(FOLDER))
        for name in MODULES:
            sys.modules.pop(name, None)


@pytest.fixture
def session(benchmark, tmp_path):
    return benchmark["session"].Session(tmp_path, "Qwen/Qwen2.5-1.5B-Instruct", tmp_path / "rows.jsonl", 4, True)


def side(rate, **more):
    return {"status": "ok", "steps": {"tokens_per_s": rate, "step_s": 2.0, "padding": 0.25}, **more}


def test_steps_of_the_warm_up_and_under_the_profiler_are_not_counted(benchmark):
    lines = [{"step": n, "seconds": 9.0, "tokens": 1, "positions": 2} for n in (1, 2, 3)]
    lines += [{"step": n, "seconds": 2.0, "tokens": 30, "positions": 40} for n in (4, 5)]
    lines += [{"step": 6, "seconds": 8.0, "tokens": 30, "positions": 40, "profiled": True}, {"step": 6, "loss": 1.5}]
    facts = benchmark["session"].step_facts(lines)
    assert facts == {"seen": 6, "counted": 2, "step_s": 2.0, "tokens_per_s": 15.0, "tokens_per_step": 30, "padding": 0.25, "losses": [1.5]}
    assert benchmark["session"].step_facts([]) is None


def test_only_sides_that_were_both_measured_are_compared(benchmark):
    ratios = benchmark["results"].ratios
    assert ratios({"qlora_recipekit": side(300), "qlora_trl": side(100), "lora_trl": side(50)}) == {"qlora_vs_trl": 3.0}
    assert ratios({"qlora_recipekit": side(300), "qlora_trl": side(100, status="failed")}) == {}


def test_a_result_is_on_the_disk_at_once_and_the_newest_counts(benchmark, tmp_path):
    Results = benchmark["results"].Results
    results = Results(tmp_path / "results.jsonl")
    results.add({"measurement": "parity", "status": "failed"})
    assert not Results(results.path).is_done("parity")
    results.add({"measurement": "parity", "status": "ok"})
    again = Results(results.path)
    assert again.is_done("parity") and not again.is_done("local") and len(results.path.read_text().splitlines()) == 2


def test_fifteen_minutes_hold_every_method_and_every_engine_that_shards(benchmark):
    module, left = benchmark["measurements"], 900
    held = []
    for one in module.measurements():
        held += [one.name] if one.expected <= left else []
        left -= one.expected if one.expected <= left else 0
    assert {"qlora_recipekit", "qlora_axolotl", "qlora_trl", "lora_recipekit", "full_recipekit", "local", "fsdp2", "zero2", "zero3"} <= set(
        held
    )
    assert {one.name for one in module.measurements()} == {one.name for one in module._measurements()}
    assert held.index("local") < min(map(held.index, ("fsdp2", "zero2", "zero3"))), "their losses are compared with local's"


def test_the_table_names_every_failure_and_no_number_that_was_not_measured(benchmark):
    lines = {
        "machine": {"measurement": "machine", "status": "ok", "device": "a card | of a kind", "bf16_tflops": 800.0, "copy_tb_s": 3.0},
        "qlora_recipekit": side(
            300,
            memory={"predicted": 9_000_000_000, "peak": 10_000_000_000},
            floor_s=0.5,
            profile={"busy_s": 1.5, "by_kind_s": {"matmul": 0.9, "copies": 0.3}},
        ),
        "learning": {"status": "ok", "models": {"base": {"perplexity": 17.8, "emoji_rate": 0.0}, "tuned": {"perplexity": 14.0}}},
        "zero2": {"status": "ok", "saved": "checkpoint-3", "resumed": True, "largest_difference": 0.001},
        "ray": {"status": "skipped", "why": "needs a GPU"},
        "full_trl": {"status": "timeout", "why": "not finished after 180 s"},
    }
    text = benchmark["results"].tables(lines, ["ray", "lora_trl"])
    assert "| qlora | recipekit | 2.0 | 300 | - | 25% | - | 75% | 75% | 25% |" in text
    assert "| perplexity | 17.8 | 14.0 |" in text and "| emoji_rate | 0.0 | - |" in text
    assert "| qlora_recipekit | 9.00 GB | 10.00 GB | -10% |" in text
    assert "| zero2 | checkpoint-3 | yes | 0.001 |" in text
    assert "| lora_trl | no time | the same call continues here |" in text and text.count("| ray |") == 1
    assert "| full_trl | timeout | not finished after 180 s |" in text
    assert "trl | 2.0" not in text and "800.0 TFLOP/s" in text


def test_the_floor_counts_what_a_method_multiplies(benchmark, session):
    linear = 1_310_195_712  # weights of Qwen2.5-1.5B's linear layers: 28 x (1536 x (1536 + 256 + 256 + 1536) + 3 x 1536 x 8960)
    flops = benchmark["sides"].flops
    assert flops(session, "qlora", 1000, recomputes=True) == 6 * linear * 1000
    assert flops(session, "full", 1000, recomputes=False) == 6 * linear * 1000
    assert flops(session._replace(model="no/such"), "qlora", 1000, True) is None


@pytest.mark.parametrize("method", ["qlora", "wide", "lora", "full"])
@pytest.mark.parametrize("engine", ["local", "zero2", "zero3", "fsdp2", "ray"])
@pytest.mark.parametrize("tiny", [True, False])
def test_every_setting_makes_a_valid_recipe(benchmark, session, method, engine, tiny):
    session = session._replace(tiny=tiny)
    session.rows.write_text('{"messages": [], "metadata": {}}\n')
    if engine == "zero3" and method in ("qlora", "wide"):
        method = "lora"
    settings = benchmark["sides"].settings(session, method, **benchmark["engines"].ENGINES[engine])
    recipe = load_recipe("emogpt_qwen", tuple(settings[1::2])).recipe
    wanted = {"zero3": "lora", "fsdp2": "lora"}.get(engine, {"full": "none", "wide": "qlora"}.get(method, method))
    assert recipe.training.adapter == wanted and recipe.training.max_steps == 4
    assert recipe.training.sequence_len == 2048, "the longest real row has 1,519 tokens, and is not left out of a trial either"
    assert recipe.training.trackers == (), "the other sides have none"


@pytest.mark.parametrize("tiny", [True, False])
def test_a_step_has_the_same_rows_however_wide_it_is(benchmark, session, tiny):
    steps = []
    for method in ("qlora", "wide"):
        training = load_recipe("emogpt_qwen", tuple(benchmark["sides"].settings(session._replace(tiny=tiny), method)[1::2])).recipe.training
        steps.append((training.micro_batch_size * training.gradient_accumulation_steps, training.gradient_accumulation_steps))
    assert steps == ([(2, 1), (2, 1)] if tiny else [(16, 4), (16, 1)])


@pytest.fixture
def main(benchmark, monkeypatch):
    """The module that is run as the benchmark."""
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("gpu_main", FOLDER / "__main__.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_measurement_that_breaks_costs_no_other(main, benchmark, session, tmp_path):
    Measurement = benchmark["measurements"].Measurement

    def broken(session, limit):
        raise KeyError("steps")

    wanted = [Measurement("broken", 0, 9, broken), Measurement("whole", 0, 9, lambda session, limit: {"status": "ok"})]
    results = benchmark["results"].Results(tmp_path / "results.jsonl")
    assert main.measure(session, wanted, results, time.monotonic() + 60, False) == []
    assert {name: (line["status"], line.get("why")) for name, line in results.newest.items()} == {
        "broken": ("failed", "KeyError: 'steps'"), "whole": ("ok", None),
    }  # fmt: skip


def test_a_result_that_no_table_can_show_costs_no_other(main, benchmark, session, tmp_path):
    Measurement = benchmark["measurements"].Measurement
    odd = {"status": "ok", "steps": {"tokens_per_s": 1.0}, "path": Path("a")}  # no s per step, and no JSON by itself
    wanted = [
        Measurement("qlora_trl", 0, 9, lambda session, limit: odd),
        Measurement("whole", 0, 9, lambda session, limit: {"status": "ok"}),
    ]
    results = benchmark["results"].Results(tmp_path / "results.jsonl")
    assert main.measure(session, wanted, results, time.monotonic() + 60, False) == []
    assert benchmark["results"].Results(results.path).is_done("whole")


def test_without_its_model_nothing_is_tried_that_trains_it(main, benchmark, tmp_path, monkeypatch, capsys):
    """Each training would take half a minute to fail, of fifteen."""
    asked = []
    monkeypatch.setattr(main, "measure", lambda session, wanted, *more: asked.extend(one.name for one in wanted) or [])
    monkeypatch.setattr(sys, "argv", ["gpu", "--out", str(tmp_path), "--model", "no/such"])
    monkeypatch.setattr(main, "prepare_model", lambda *args: 1 / 0)
    main.main()
    assert asked == ["machine", "doctor", "parity", "learning"]
    assert "nothing trains it: ZeroDivisionError" in json.loads(capsys.readouterr().out.splitlines()[-1])["notes"][0]


@pytest.mark.parametrize(("seen", "status"), [(4, "ok"), (3, "timeout")])
def test_steps_that_were_all_measured_count_although_the_model_was_not_saved_in_time(benchmark, session, monkeypatch, seen, status):
    facts = {"status": "timeout", "why": "not finished after 180 s", "steps": {"seen": seen}, "flops_per_step": None}
    monkeypatch.setattr(benchmark["sides"], "recipekit", lambda *args: facts)
    assert benchmark["measurements"].side("full", "recipekit", session, 180)["status"] == status


def test_random_weights_are_of_the_models_size_and_not_the_tiny_models(benchmark, tmp_path, monkeypatch):
    made, prepare = [], benchmark["models"].prepare_model
    monkeypatch.setattr(benchmark["models"].subprocess, "run", lambda argv, **options: made.append(json.loads(argv[2])))
    monkeypatch.setattr("recipekit.runner.models.resolve.resolve_model", lambda *args, **options: SimpleNamespace(path="small"))
    name = "Qwen/Qwen2.5-1.5B-Instruct"
    assert prepare(name, tmp_path, tiny=True, random_weights=False) == "small" and not made
    assert prepare(name, tmp_path, tiny=False, random_weights=True) == str(tmp_path / "weights")
    assert made[0]["tokenizer"] == "small" and made[0]["config"]["hidden_size"] == 1536


NAN = float("nan")


@pytest.mark.parametrize(
    ("losses", "others", "difference"),
    [([2.0, 1.5], [2.0, 1.0], 0.5), ([2.0, 1.5], [2.0], None), ([2.0, NAN], [2.0, 1.0], None), ([NAN, 1.5], [2.0, 1.0], None),
     ([2.0, "nan"], [2.0, 1.0], None), ([], [], None)],
)  # fmt: skip
def test_no_difference_is_told_of_losses_that_are_not_all_numbers(benchmark, losses, others, difference):
    assert benchmark["engines"].difference(losses, others) == difference


@pytest.mark.parametrize("loss", [NAN, "nan", float("inf")])
def test_a_loss_that_is_no_number_is_a_failure_whatever_the_exit_code(benchmark, session, monkeypatch, loss):
    facts = {"status": "ok", "steps": {"seen": 4, "losses": [2.0, loss]}, "flops_per_step": None}
    monkeypatch.setattr(benchmark["sides"], "trl", lambda *args: facts)
    found = benchmark["measurements"].side("lora", "trl", session, 180)
    assert (found["status"], found["why"]) == ("failed", f"the loss of line 2 is {loss}")
    json.dumps(found, allow_nan=False)


def test_a_line_that_was_cut_off_is_not_read(benchmark, tmp_path):
    (tmp_path / "steps.jsonl").write_text('{"step": 1}\n{"step": 2, "sec')
    assert benchmark["session"].read_lines(tmp_path / "steps.jsonl") == [{"step": 1}]


def test_gpu_measurements_are_skipped_with_a_reason(benchmark, session):
    for name in ("zero2", "zero3", "fsdp2", "ray"):
        with pytest.raises(benchmark["session"].Skipped, match="needs a GPU"):
            benchmark["engines"].stop_and_resume(session, name, 1)


def test_a_process_that_takes_too_long_is_ended_with_its_children(benchmark, session, monkeypatch):
    folder, wait = session.place("slow"), subprocess.Popen.wait
    begun = lambda: (folder / "stdout.txt").read_text().endswith("\n")  # noqa: E731 - its time begins to count then
    monkeypatch.setattr(subprocess.Popen, "wait", lambda self, *limits: wait_until(begun) and wait(self, *limits))
    argv = (
        sys.executable,
        "-c",
        "import subprocess; child = subprocess.Popen(['sleep', '600']); print(child.pid, flush=True); child.wait()",
    )
    done = session.run(argv, folder, 1)
    facts = done.facts()
    assert done.code is None and facts["status"] == "timeout" and facts["output"] == [done.stdout.strip()]
    assert wait_until(lambda: not is_running(done.stdout.strip()))


def test_kernels_are_named_by_what_they_compute_and_overlapping_times_count_once(benchmark):
    pytest.importorskip("transformers", reason="needs the extra [train]")
    sys.path.insert(0, str(FOLDER / "watch"))
    try:
        import step_watch
    finally:
        sys.path.remove(str(FOLDER / "watch"))
    assert step_watch.kind_of("sm90_xmma_gemm_bf16bf16") == "matmul" and step_watch.kind_of("kDequantizeBlockwise") == "dequantise"
    assert step_watch.kind_of("pytorch_flash::flash_fwd_kernel") == "attention" and step_watch.kind_of("abc") == "other"
    assert step_watch.busy([(0, 2), (1, 3), (5, 6)]) == 4


@pytest.mark.train
@pytest.mark.long
def test_a_measured_side_is_not_measured_again(tmp_path):
    pytest.importorskip("axolotl", reason="needs the extra [train]")
    argv = [sys.executable, str(FOLDER), "--tiny", "--out", str(tmp_path), "parity", "qlora_recipekit", "ray"]
    done = None
    for _ in range(2):
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        summary = json.loads(done.stdout.splitlines()[-1])
        assert summary["statuses"] == {"parity": "ok", "qlora_recipekit": "ok", "ray": "skipped"}
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [line["measurement"] for line in lines] == ["parity", "qlora_recipekit", "ray", "ray"], "what was skipped is tried again"
    measured = lines[1]
    assert measured["steps"]["tokens_per_s"] > 0 and len(measured["steps"]["losses"]) == 4
    assert measured["memory"]["peak"] > 0 and measured["memory"]["predicted"] > 0
    assert done and (tmp_path / "results.md").read_text() in done.stdout
