"""Refused before anything is done: what this machine cannot start."""

import pytest

ENGINES = {
    "engine: deepspeed, zero_stage: 2, num_processes: 2": "launch.zero_stage: DeepSpeed trains under Axolotl on GPUs only",
    "engine: ray, num_processes: 2": "launch.engine: Axolotl asks Ray for GPUs, and this machine has none",
    "engine: torchrun, num_processes: 2, fsdp: true": "launch.fsdp: FSDP2 trains under Axolotl on GPUs only",
}


@pytest.mark.parametrize("launch", ENGINES)
def test_an_engine_without_gpus_is_refused(launch, command_line, tmp_path, monkeypatch):
    monkeypatch.setenv("RECIPEKIT_DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text("{}\n")
    text = "recipe: 1\nname: small\nmodel: {base_model: a/b}\ndata: {type: chat, sources: [{path: rows.jsonl, converter: messages}]}\n"
    (tmp_path / "small.yml").write_text(f"{text}training: {{adapter: lora, learning_rate: 1e-4}}\nlaunch: {{{launch}}}\n")
    outcome = command_line("run", "small.yml")
    assert outcome.code == 1
    assert "small.yml:6:" in outcome.err and ENGINES[launch] in outcome.err
    assert "torchrun for several processes on a CPU" in outcome.err
    assert not (tmp_path / "runs").exists()
    rendered = command_line("render", "small.yml", "--machine", "gpu")
    assert rendered.code == 0
