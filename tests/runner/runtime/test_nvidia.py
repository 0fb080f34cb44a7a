"""What nvidia-smi says, and what is made of it when it says less (here a script that answers as it does)."""

from recipekit.runner.runtime.machine import Gpu, nvidia_gpus, this_machine

OLD = """#!/bin/sh
case "$*" in
*compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2;;
*) echo 'Tesla V100-SXM2-16GB, 16160, 450.80.02';;
esac
"""


def test_a_gpu_is_described_with_its_driver(nvidia_smi):
    nvidia_smi("#!/bin/sh\necho 'NVIDIA H200, 143771, 570.86.15, 9.0'\n")
    assert nvidia_gpus() == ([Gpu("NVIDIA H200", 143771 << 20, "570.86.15", 9.0)], "")


def test_an_old_driver_is_a_gpu_with_unknown_capability(nvidia_smi):
    nvidia_smi(OLD)
    gpus, fault = nvidia_gpus()
    assert gpus == [Gpu("Tesla V100-SXM2-16GB", 16160 << 20, "450.80.02", 0)]
    assert "too old" in fault
    assert (this_machine().device, this_machine().fast_bf16) == ("cuda", False)


def test_a_driver_that_does_not_answer_is_reported_in_its_own_words(nvidia_smi):
    nvidia_smi('#!/bin/sh\necho "NVIDIA-SMI has failed because it couldn\'t communicate with the NVIDIA driver."\nexit 9\n')
    gpus, fault = nvidia_gpus()
    assert gpus == [] and "couldn't communicate with the NVIDIA driver" in fault
    assert this_machine().is_cpu


def test_without_nvidia_smi_there_is_no_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nvidia_gpus() == ([], "")
