"""`recipe doctor` as a person starts it."""

import json

import pytest
from recipekit.schemas.extends import shipped_recipes


@pytest.fixture(autouse=True)
def cpu(monkeypatch, tmp_path):
    monkeypatch.setenv("RECIPEKIT_DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)


def test_every_shipped_recipe_has_a_computed_need(command_line):
    outcome = command_line("doctor", "--json")
    facts = json.loads(outcome.out)
    assert outcome.code == 0
    assert len(facts["recipes"]) == len(shipped_recipes())
    assert [row["recipe"] for row in facts["recipes"] if not row["parameters"] or not row["memory"] or not row["disk"]] == []
    assert facts["memory"]["total"] >= facts["memory"]["available"] > 0


def test_the_tables_name_every_recipe_in_full(command_line):
    outcome = command_line("doctor")
    assert [path.stem for path in shipped_recipes() if path.stem not in outcome.out] == []
    assert "this machine" in outcome.out and "cores" in outcome.out and "none: training runs on the CPU" in outcome.out


def test_a_named_recipe_that_cannot_be_trained_here_exits_1_with_the_reason(command_line, tmp_path):
    (tmp_path / "rows.jsonl").write_text("{}\n")
    text = "recipe: 1\nname: big\nmodel: {base_model: meta-llama/Llama-2-7b-hf}\n"
    text += "data: {type: chat, sources: [{path: rows.jsonl, converter: messages}]}\ntraining: {adapter: lora, learning_rate: 1e-4}\n"
    (tmp_path / "big.yml").write_text(text + "launch: {engine: deepspeed, zero_stage: 3}\n")
    outcome = command_line("doctor", "big.yml")
    assert outcome.code == 1
    assert "big: launch.zero_stage: DeepSpeed trains under Axolotl on GPUs only" in outcome.out


def test_an_old_driver_is_reported_and_its_gpu_counted(command_line, nvidia_smi):
    nvidia_smi('#!/bin/sh\ncase "$*" in *compute_cap*) exit 2;; *) echo "GPU-1f, Tesla V100, 16160, 450.80";; esac\n')
    facts = json.loads(command_line("doctor", "--json").out)
    assert [gpu["name"] for gpu in facts["gpus"]] == ["Tesla V100"]
    assert "too old" in facts["gpu_note"]


def test_a_cards_kernels_are_named_and_what_a_recipe_would_use_of_them(command_line, nvidia_smi):
    nvidia_smi('#!/bin/sh\necho "GPU-1f, Tesla T4, 15360, 550.54, 7.5"\n')
    facts = json.loads(command_line("doctor", "emogpt_qwen", "--json").out)
    assert [gpu["capability"] for gpu in facts["gpus"]] == [7.5]
    used = {kernel["part"]: kernel for kernel in facts["recipes"][0]["kernels"]}
    assert used["numbers"]["used"] == "fp16" and "Tesla T4 lacks" in used["numbers"]["why"]
    shown = command_line("doctor", "emogpt_qwen").out
    assert "compute capability 7.5, driver 550.54" in shown and "What emogpt_qwen uses" in shown


def test_a_recipe_that_is_not_there_is_named(command_line):
    outcome = command_line("doctor", "nowhere")
    assert outcome.code == 1 and "nowhere" in outcome.err


def test_memory_that_other_programs_use_is_named_and_subtracted(command_line, nvidia_smi):
    nvidia_smi(
        '#!/bin/sh\ncase "$*" in *memory.used*) echo "GPU-1f, an A10, 21000, 1500";; *) echo "GPU-1f, an A10, 23028, 550.54, 8.6";; esac\n'
    )
    outcome = command_line("doctor", "emogpt_llama3_3b")
    shown = " ".join(outcome.out.split())
    assert "an A10, 24.1 GB, other programs use 22 GB, compute capability 8.6" in shown
    assert outcome.code == 1 and "and an A10 has 1.57 GB free, other programs use 22 GB" in shown
