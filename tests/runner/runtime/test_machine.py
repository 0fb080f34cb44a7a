"""What decides precision and kernels, found from what nvidia-smi says (here a script that answers as it does)."""

import os
import subprocess
import sys
import sysconfig

import pytest
from recipekit.runner.runtime import machine as module
from recipekit.runner.runtime.machine import Machine, has_compiler, package_versions, this_machine


@pytest.fixture
def nvidia_answers(nvidia_smi):
    """Puts an nvidia-smi with this answer in front of the path."""
    return lambda answer, code=0: nvidia_smi(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\nexit {code}\n")


def test_a_machine_without_a_gpu_is_a_cpu_with_its_memory_and_cores(monkeypatch):
    monkeypatch.setenv("RECIPEKIT_DEVICE", "cpu")
    machine = this_machine()
    assert machine.is_cpu and machine.gpus == 0 and not machine.fast_bf16
    assert machine.memory > 1 << 28
    assert machine.cores == len(os.sched_getaffinity(0))


def test_gpus_are_counted_and_the_first_is_described(nvidia_answers):
    nvidia_answers("GPU-1f, NVIDIA A100-SXM4-80GB, 81920, 550.54, 8.0\nGPU-1f, NVIDIA A100-SXM4-80GB, 81920, 550.54, 8.0")
    machine = this_machine()
    assert (machine.device, machine.gpus, machine.gpu_name, machine.gpu_memory) == ("cuda", 2, "NVIDIA A100-SXM4-80GB", 80 << 30)


@pytest.mark.parametrize(
    ("capability", "fast"), [("6.1", False), ("7.5", False), ("8.0", True), ("8.6", True), ("9.0", True), ("12.0", True)]
)
def test_bf16_is_fast_from_ampere_on(nvidia_answers, capability, fast):
    nvidia_answers(f"GPU-1f, a GPU, 16384, 550.54, {capability}")
    assert this_machine().fast_bf16 is fast


def test_the_gpus_can_be_hidden(nvidia_answers, monkeypatch):
    nvidia_answers("GPU-1f, a GPU, 16384, 550.54, 8.0")
    monkeypatch.setenv("RECIPEKIT_DEVICE", "cpu")
    assert this_machine().is_cpu


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("", 0),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", 9),
        ("No devices were found", 0),
    ],
)
def test_a_driver_that_does_not_answer_means_a_cpu(nvidia_answers, answer, code):
    nvidia_answers(answer, code)
    assert this_machine().is_cpu


@pytest.mark.parametrize(
    ("answer", "memory", "fast"),
    [
        ("GPU-1f, NVIDIA GB10, [N/A], 580.1, 12.1", 0, True),
        ("GPU-1f, an old GPU, 16384, 390.1, [N/A]", 16 << 30, False),
        ("GPU-1f, a sick GPU, [Unknown Error], 550.54, [N/A]", 0, False),
    ],
)
def test_unknown_gpu_facts_are_none(nvidia_answers, answer, memory, fast):
    nvidia_answers(answer)
    machine = this_machine()
    assert (machine.device, machine.gpu_memory, machine.fast_bf16) == ("cuda", memory, fast)


def test_torch_is_not_imported_to_find_out():
    text = "import sys; from recipekit.runner.runtime.machine import this_machine; this_machine(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", text], check=False).returncode == 0


def test_by_default_a_machine_is_a_cpu():
    assert Machine().is_cpu


def test_only_packages_that_are_installed_have_a_version():
    assert "" not in package_versions().values()


def test_triton_needs_a_c_compiler_and_the_header_of_this_python(tmp_path, monkeypatch):
    """Ubuntu's python3 has no header, and small containers have no compiler."""
    tools, headers = tmp_path / "bin", tmp_path / "include"
    tools.mkdir()
    headers.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(sysconfig, "get_paths", lambda *scheme: {"include": str(headers)})
    (headers / "Python.h").touch()
    assert not has_compiler()
    (tools / "gcc").touch(0o755)
    assert has_compiler()
    (headers / "Python.h").unlink()
    assert not has_compiler()


def test_a_machine_knows_whether_triton_can_compile(nvidia_answers, monkeypatch):
    nvidia_answers("GPU-1f, a GPU, 16384, 550.54, 8.0")
    for there in (True, False):
        monkeypatch.setattr(module, "has_compiler", lambda there=there: there)
        assert this_machine().has_compiler is there
