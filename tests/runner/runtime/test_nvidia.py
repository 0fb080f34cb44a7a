"""What nvidia-smi says, and what is made of it when it says less (here a script that answers as it does)."""

from itertools import takewhile

import pytest
from recipekit.runner.runtime.machine import Gpu, chosen_gpus, gpus_of, machine_named, nvidia_gpus, this_machine

OLD = """#!/bin/sh
case "$*" in
*compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2;;
*) echo 'GPU-1f, Tesla V100-SXM2-16GB, 16160, 450.80.02';;
esac
"""


def test_a_gpu_is_described_with_its_driver(nvidia_smi):
    nvidia_smi("#!/bin/sh\necho 'GPU-1f, NVIDIA H200, 143771, 570.86.15, 9.0'\n")
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


@pytest.mark.parametrize(
    ("visible", "names", "memory"),
    [
        (None, ["T4", "A100", "H100"], 15360),
        ("1", ["A100"], 40960),
        ("2,0", ["H100", "T4"], 81920),
        ("GPU-b,GPU-a1", ["A100", "T4"], 40960),
        ("GPU-b,0", ["A100"], 40960),
        ("0,GPU-b", ["T4"], 15360),
        ("GPU-", [], 0),  # of several: it names none
        ("GPU-c3,GPU-c", [], 0),
        ("0,7,1", ["T4"], 15360),
        ("1gpu2, +2", ["A100", "H100"], 40960),
        ("0,-1,1", ["T4"], 15360),
        ("1,0,1", [], 0),
        ("T4", [], 0),
        ("", [], 0),
        ("-1", [], 0),
        ("MIG-4c", ["part of T4"], 0),
        ("MIG-4c,MIG-5d", ["part of T4"], 0),
    ],
)
def test_only_visible_gpus_are_there_in_the_order_of_cuda(nvidia_smi, monkeypatch, visible, names, memory):
    """As torch sees them: what is rendered for the first GPU of the machine may not run on the one that is used. Another variable,
    NVIDIA_VISIBLE_DEVICES, is read by container runtimes: inside a container nvidia-smi lists the others no more."""
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", "none")
    nvidia_smi("#!/bin/sh\nprintf 'GPU-a1, T4, 15360, 580.1, 7.5\\nGPU-b2, A100, 40960, 580.1, 8.0\\nGPU-c3, H100, 81920, 580.1, 9.0\\n'\n")
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [gpu.name for gpu in nvidia_gpus()[0]] == names
    machine = this_machine()
    assert (machine.gpus, machine.gpu_memory) == (len(names), memory << 20)
    assert machine.is_cpu != bool(names) and machine.fast_bf16 == (names[:1] in (["A100"], ["H100"]))


PARTED = "part of NVIDIA A100-SXM4-40GB"
DIVIDED = """#!/bin/sh
case "$*" in
*mig.mode*) printf 'GPU-a1, [N/A], 560.35.03\\nGPU-b2, Enabled, 560.35.03\\n';;
*memory.used*) printf 'GPU-a1, T4, 3, 14910\\nGPU-b2, NVIDIA A100-SXM4-40GB, 45, 40915\\n';;
*) printf 'GPU-a1, T4, 15360, 580.1, 7.5\\nGPU-b2, NVIDIA A100-SXM4-40GB, 40960, 580.1, 8.0\\n';;
esac
"""


@pytest.mark.parametrize("visible", ["1", "GPU-b2", "MIG-4c", "0,1"])
def test_a_divided_gpu_is_not_taken_for_a_whole_one_however_it_is_named(nvidia_smi, monkeypatch, visible):
    """CUDA uses one of its instances: the memory of the whole would let a training start that cannot fit."""
    nvidia_smi(DIVIDED)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    machine = this_machine()
    assert (machine.gpu_name, machine.gpu_memory, machine.fast_bf16) == ("part of NVIDIA A100-SXM4-40GB", 0, True)
    assert gpus_of(machine, 1) == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert this_machine().gpu_memory == 15360 << 20, "the other GPU is whole"


@pytest.mark.parametrize(
    ("visible", "names"),
    [(None, ["T4", PARTED]), ("0,1", ["T4", PARTED]), ("1,0", [PARTED, "T4"]), ("1", [PARTED]), ("0", ["T4"]), ("MIG-4c", [PARTED])],
)
def test_since_driver_570_a_divided_gpu_hides_no_other(nvidia_smi, monkeypatch, visible, names):
    """What is rendered for the part of an A100 would be bf16, which the T4 that is used has not."""
    nvidia_smi(DIVIDED.replace("560.35.03", "570.86.15"))
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [gpu.name for gpu in nvidia_gpus()[0]] == names
    assert this_machine().fast_bf16 == (names[0] == PARTED)


def test_torch_reads_the_list_as_it_is_read_here(monkeypatch):
    """Of numbers and UUIDs, in any combination that torch's own tests have."""
    cuda = pytest.importorskip("torch", reason="needs the extra [train]").cuda
    uuids = [f"GPU-{letter}{digit}" for letter in "ab" for digit in range(4)]
    lists = ["1gpu2,2ampere", "0, 1, 2, -1, 3", "0, 1, 2, 1", "2, +3, -0, 5", "one,two,3,4", "4,3,two,one", "", "-1", " 1 ,2", "9,0", "0,9,0",
             "GPU-a1", "GPU-a1,2", "GPU-a1, GPU-b2", "GPU-a1,GPU-b2", "GPU-a1,GPU-a1", "GPU-a", "GPU-b3,GPU-a,GPU-b1", "GPU-x,GPU-a1", "gpu-a1"]  # fmt: skip
    for wanted in lists:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", wanted)
        read = cuda._parse_visible_devices()
        if read and isinstance(read[0], str):
            read = cuda._transform_uuid_to_ordinals(read, uuids)
        there = list(takewhile(lambda number: number < len(uuids), read))
        assert chosen_gpus(wanted, uuids) == there, wanted


USED = """#!/bin/sh
case "$*" in
*memory.used*) printf 'GPU-a1, T4, 3, 14910\\nGPU-b2, T4, 12000, 2910\\nGPU-c3, H100, 0, 81000\\n';;
*) printf 'GPU-a1, T4, 15360, 580.1, 7.5\\nGPU-b2, T4, 15360, 580.1, 7.5\\nGPU-c3, H100, 81920, 580.1, 9.0\\n';;
esac
"""


@pytest.mark.parametrize(
    ("visible", "processes", "seen"),
    [(None, 1, [(3, 14910)]), (None, 2, [(3, 14910), (12000, 2910)]), (None, 3, [(3, 14910), (12000, 2910), (0, 81000)]),
     ("1", 1, [(12000, 2910)]), ("2,0", 2, [(0, 81000), (3, 14910)])],
)  # fmt: skip
def test_the_gpus_of_the_processes_count_the_first_first(nvidia_smi, monkeypatch, visible, processes, seen):
    nvidia_smi(USED)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [(gpu.used >> 20, gpu.free >> 20) for gpu in gpus_of(this_machine(), processes)] == seen


@pytest.mark.parametrize(
    ("script", "visible"),
    [
        ("#!/bin/sh\necho 'GPU-a1, T4, 15360, 580.1, 7.5'\n", None),  # an answer to another question
        (USED.replace("3, 14910", "[N/A], [N/A]"), None),  # memory that is the machine's
        (USED, "MIG-4c"),
        (USED, ""),
        ("#!/bin/sh\nexit 9\n", None),
    ],
)
def test_what_is_free_may_be_unknown(nvidia_smi, monkeypatch, script, visible):
    nvidia_smi(script)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus_of(this_machine(), 1) == []


def test_another_machine_is_not_this_one(nvidia_smi):
    nvidia_smi(USED)
    named = machine_named("gpu:24")
    assert named and gpus_of(named, 1) == []
