"""What is refused before it trains, with its sum; what is only warned of; and what the sum is made of."""

import json

import pytest
from recipekit.runner.models.known_config import KnownConfig
from recipekit.runner.models.size import size_of_config
from recipekit.runner.resources import fit as module
from recipekit.runner.resources.fit import (
    available_memory,
    disk_plan,
    fit,
    free_disk,
    needs_line,
    problems,
    require,
    size_text,
    too_large,
    warnings,
)
from recipekit.runner.resources.forward_pass import ForwardPass
from recipekit.runner.runtime.machine import Machine, this_machine
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Recipe

from ...support.model_configs import GPT2, LLAMA2

GPU = Machine("cuda", 1, "a GPU", 16 << 30, True, memory=64 << 30)
CPU = Machine(memory=64 << 30, cores=8)


@pytest.fixture
def found(minimal, tmp_path):
    def build(config=GPT2, machine=GPU, **training):
        size = size_of_config(KnownConfig(config))
        assert size
        return fit(Recipe.from_values(minimal({f"training.{k}": v for k, v in training.items()})), size, machine, tmp_path)

    return build


def test_a_run_that_cannot_fit_is_refused_with_its_need(found):
    with pytest.raises(UserError) as refused:
        require(found(LLAMA2, adapter="none"), full_rows=False)
    text = str(refused.value)
    assert "does not fit in memory: " in text and "weights 13.5 GB" in text and "optimizer 53.9 GB" in text and "a GPU has 17.2 GB" in text
    assert refused.value.problems[0].hint.startswith("it fits with --set training.") and "adapter=qlora" in refused.value.problems[0].hint


def test_a_run_that_fits_is_accepted(found):
    assert problems(found(), full_rows=True) == []
    assert warnings(found()) == []


def test_rows_that_may_be_short_are_warned_of_and_full_ones_refused(found):
    long = found(LLAMA2, adapter="qlora", micro_batch_size=16, sequence_len=8192)
    assert problems(long, full_rows=False) == []
    refused = problems(long, full_rows=True)
    assert [problem.rule for problem in refused] == ["memory"]
    assert "not enough memory, at 8,192 tokens per row" in warnings(long)[0]
    assert warnings(long, refused) == [], "what is refused needs no warning"


def test_unknown_gpu_memory_refuses_nothing(found):
    silent = found(LLAMA2, GPU._replace(gpu_memory=0), adapter="none")
    assert [p for p in problems(silent, full_rows=True) if p.rule == "memory"] == []
    assert [line for line in warnings(silent) if "memory" in line] == []


def test_what_fits_only_if_the_prediction_is_right_is_called_tight(found):
    whole = found(LLAMA2, adapter="qlora")
    tight = whole._replace(memory_available=whole.memory_most - 1)
    assert "memory is tight, up to " in warnings(tight)[0] and problems(tight, full_rows=True) == []
    assert warnings(whole._replace(memory_available=whole.memory_most)) == []


def test_each_process_on_a_cpu_needs_its_own_memory(found):
    one = found(machine=CPU)
    one = one._replace(memory_available=int(1.5 * one.memory.total), disk_available=1 << 40)
    assert problems(one, full_rows=True) == []
    [problem] = problems(one._replace(processes=2), full_rows=True)
    assert problem.rule == "memory" and "2 processes x " in problem.what


def test_what_the_training_holds_already_is_available_to_it(minimal, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "available_memory", lambda: 3 << 30)
    size = size_of_config(KnownConfig(GPT2))
    assert size
    assert fit(Recipe.from_values(minimal()), size, CPU, tmp_path, held=1 << 30).memory_available == 4 << 30


def test_checkpoints_that_do_not_fit_on_the_disk_are_refused_with_their_sum(found, monkeypatch):
    monkeypatch.setattr(module, "free_disk", lambda folder: 1_000_000_000)
    [problem] = problems(found(adapter="none", save_steps=10), full_rows=True)
    assert problem.rule == "disk"
    assert "checkpoints 4.48 GB" in problem.what and "1 GB are free" in problem.what


def test_processes_of_a_cpu_share_its_memory(minimal, tmp_path):
    size = size_of_config(KnownConfig(GPT2))
    assert size
    two = Recipe.from_values(minimal({"launch": {"engine": "torchrun", "num_processes": 2}}))
    shared = fit(two, size, CPU, tmp_path)
    assert shared.memory_needed == 2 * shared.memory.total
    assert "2 processes x " in module.memory_sum(shared)


@pytest.mark.parametrize(
    ("training", "steps", "kept"),
    [
        ({"save_steps": 10}, None, 3),
        ({"save_steps": 10}, 20, 2),
        ({"save_steps": 10, "save_total_limit": 5}, 1000, 6),
        ({"num_epochs": 1}, 50, 1),
    ],
)
def test_every_checkpoint_that_exists_at_once_is_counted_with_its_optimizer(minimal, training, steps, kept):
    size = size_of_config(KnownConfig(GPT2))
    assert size
    recipe = Recipe.from_values(minimal({f"training.{k}": v for k, v in (training | {"adapter": "none"}).items()}))
    parts = disk_plan(recipe, size, GPU, steps=steps)
    assert parts["checkpoints"] == kept * (4 + 8) * 124_439_808
    assert "merged model" not in parts


def test_a_merged_model_is_counted(minimal):
    size = size_of_config(KnownConfig(GPT2))
    assert size
    assert disk_plan(Recipe.from_values(minimal({"export.merge": True})), size, GPU)["merged model"] == 2 * 124_439_808


def test_in_the_trainer_the_real_length_of_the_rows_counts(minimal, tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECIPEKIT_DEVICE", "cpu")
    recipe = Recipe.from_values(minimal({"training.sequence_len": 4096}))
    assert too_large(recipe, str(tiny_model), 0, ForwardPass(128, 128)) == []
    assert json.loads((tmp_path / "fit.json").read_text())["memory"]["tokens"] == 128
    monkeypatch.setattr(module, "available_memory", lambda: -module.CPU_RUNTIME + 1)
    assert "does not fit in memory" in too_large(recipe, str(tiny_model), 0, ForwardPass(128, 128))[0]
    assert too_large(recipe, "nobody/knows", 0, ForwardPass(128, 128)) == []


def test_the_line_for_people_says_what_is_needed_and_what_is_there(found):
    assert needs_line(found(adapter="none")).startswith("memory ")
    assert "(17.2 GB available), disk " in needs_line(found(adapter="none"))


@pytest.mark.parametrize(("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (1234567, "1.23 MB"), (13476831232, "13.5 GB"),
                                            (999_600_000, "1 GB"), (250_000_000_000, "250 GB")])  # fmt: skip
def test_sizes_are_readable(size, text):
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("limit", "used", "available"),
    [("max", 1 << 20, 8 << 20), (6 << 20, 1 << 20, 5 << 20), (1 << 30, 1 << 20, 8 << 20), (1 << 20, 2 << 20, 0)],
)
def test_available_memory_is_what_the_control_group_leaves_of_the_machines(tmp_path, monkeypatch, limit, used, available):
    group = tmp_path / "sys" / "fs" / "cgroup"
    group.mkdir(parents=True)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text(f"MemTotal:       16384 kB\nMemAvailable:    {8 << 10} kB\n")
    (group / "memory.max").write_text(f"{limit}\n")
    (group / "memory.current").write_text(f"{used}\n")
    monkeypatch.setattr(module, "Path", lambda path: tmp_path / path.removeprefix("/"))
    assert available_memory() == available


def test_free_memory_comes_from_the_system(tmp_path):
    assert available_memory() > 1 << 20
    assert free_disk(tmp_path / "not" / "yet") == pytest.approx(free_disk(tmp_path), rel=0.01)


@pytest.fixture
def shared(minimal, tmp_path, nvidia_smi):
    """A QLoRA of 7B on cards of which other programs use so much; MiB."""

    def build(*used, held=0, launch=None, **training):
        use, has = ("\\n".join(f"GPU-{n}f, a card, {cells}" for n, cells in enumerate(rows)) for rows in (
            [f"{taken}, {max(16100 - taken, 0)}" for taken in used], ["16384, 580.1, 8.0"] * len(used)))  # fmt: skip
        nvidia_smi(f"#!/bin/sh\ncase \"$*\" in *memory.used*) printf '{use}\\n';; *) printf '{has}\\n';; esac\n")
        size = size_of_config(KnownConfig(LLAMA2))
        assert size
        changes = {"adapter": "qlora", "gradient_checkpointing": True} | training
        recipe = Recipe.from_values(minimal({f"training.{k}": v for k, v in changes.items()} | {"launch": launch or {}}))
        return fit(recipe, size, this_machine(), tmp_path, held=held)

    return build


def test_what_other_programs_use_of_a_gpu_is_not_available(shared):
    alone, beside = shared(3), shared(14000)
    assert (alone.memory_available, alone.taken) == (16097 << 20, 0) and problems(alone, full_rows=True) == []
    assert (beside.memory_available, beside.taken) == (2100 << 20, 14000 << 20)
    [problem] = problems(beside, full_rows=True)
    assert problem.what.endswith("and a card has 2.2 GB free, other programs use 14.7 GB")
    assert problem.hint.startswith("it fits once the other programs on the GPU have ended (nvidia-smi lists them)")
    assert "(2.2 GB available, other programs use 14.7 GB)" in needs_line(beside)
    assert "2.2 GB, other programs use 14.7 GB; it fits once" in warnings(beside)[0]


def test_a_training_that_does_not_fit_alone_either_is_not_helped_by_the_end_of_others(shared):
    assert "once the other programs" not in module.less_memory(shared(14000, adapter="none"))


def test_in_the_trainer_its_own_context_is_not_of_another_program(shared):
    own = shared(600, held=module.CUDA_RUNTIME)
    assert (own.memory_available, own.taken) == (16100 << 20, 0)
    others = shared(14000, held=module.CUDA_RUNTIME)
    assert others.taken == (14000 << 20) - module.CUDA_RUNTIME


def test_a_gpu_that_is_full_is_not_one_of_unknown_memory(shared):
    assert [problem.rule for problem in problems(shared(16384), full_rows=True)] == ["memory"]


@pytest.mark.parametrize(("used", "taken", "of_first"), [((9000, 12000), 12000, 9000), ((3, 12000), 12000, 0), ((12000, 3), 12000, 12000)])
def test_of_several_gpus_the_fullest_is_available_and_the_first_ones_others_are_known(shared, used, taken, of_first):
    """The peak is measured on the first process's GPU."""
    found = shared(*used, launch={"engine": "torchrun", "num_processes": 2})
    assert found.memory_available == (16100 - taken) << 20
    assert (found.taken, found.taken_of_first) == (taken << 20, of_first << 20)
    assert found.facts()["memory"]["taken_of_first"] == of_first << 20
