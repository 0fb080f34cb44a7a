"""What of the environment reaches a training."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.runner.runtime.child_environment import NAMES, PREFIXES, changes_a_training
from recipekit.runner.runtime.child_process import run_child

SETTINGS = ["ACCELERATE_MIXED_PRECISION", "ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR",
            "TORCHELASTIC_RUN_ID", "FSDP_OFFLOAD_PARAMS", "OMPI_COMM_WORLD_SIZE", "AXOLOTL_IS_PREPROCESS",
            "COLAB_RELEASE_TAG", "GOOGLE_COLAB_GPU"]  # fmt: skip


def test_a_child_sees_no_setting_of_another_launcher(tmp_path, monkeypatch):
    for name in SETTINGS:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("NCCL_DEBUG", "INFO")
    write = "import json, os; open('seen.json', 'w').write(json.dumps(dict(os.environ)))"
    run_child((sys.executable, "-c", write), tmp_path, {"ACCELERATE_USE_CPU": "true"}, "child.log", "a child", lambda event: None)
    seen = json.loads((tmp_path / "seen.json").read_text("utf-8"))
    assert not {*SETTINGS} & {*seen} and (seen["NCCL_DEBUG"], seen["ACCELERATE_USE_CPU"]) == ("INFO", "true")


@given(st.sampled_from(PREFIXES), st.text("ABC_", max_size=5))
def test_launcher_variables_are_removed(prefix, rest):
    assert changes_a_training(prefix + rest) and all(map(changes_a_training, NAMES))


@pytest.mark.parametrize(
    "name", ["PATH", "HOME", "HF_HOME", "HF_TOKEN", "CUDA_VISIBLE_DEVICES", "NCCL_DEBUG", "SLURM_JOB_ID", "OMP_NUM_THREADS"]
)
def test_other_variables_are_kept(name):
    assert not changes_a_training(name)
