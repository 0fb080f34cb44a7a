"""What the machine has and lacks, by what is really installed and by what is not."""

import pytest
from recipekit.runner.resources import environment as module
from recipekit.runner.resources.environment import environment, has_token, missing, of_amd, packages

COMPLETE = {"packages": [], "gpus": [], "torch": {"version": "2.13.0+cpu", "build": "cpu"}}


def test_requirements_are_listed_with_extra_and_version():
    found = {package["name"]: package for package in packages()}
    assert found["click"]["extra"] == "" and found["click"]["fits"]
    assert found["axolotl"]["wanted"] == "==0.19.0" and found["axolotl"]["extra"] == "train"
    assert "ruff" not in found


def test_a_package_that_is_missing_or_too_old_is_reported_with_its_command(monkeypatch):
    monkeypatch.setattr(module, "requires", lambda name: ["click>=99", 'nobody[knows]>=1 ; extra == "train"', 'ruff ; extra == "dev"'])
    lacking = missing(COMPLETE | {"packages": packages()})
    assert lacking[0].startswith("click is ") and ', but >=99 is required: pip install "recipekit"' in lacking[0]
    assert lacking[1:] == ['nobody is not installed: pip install "recipekit[train]"']


def test_a_torch_without_cuda_next_to_a_gpu_is_reported():
    assert missing(COMPLETE) == []
    assert "built without CUDA" in missing(COMPLETE | {"gpus": [{}]})[0]


@pytest.mark.parametrize(("build", "noted"), [("2.13.0+rocm7.0", True), ("2.13.0+cu130", False), ("2.13.0+cpu", False), (None, False)])
def test_a_torch_for_amds_gpus_is_noted_because_they_are_not_used(monkeypatch, build, noted):
    monkeypatch.setenv("RECIPEKIT_DEVICE", "cpu")
    monkeypatch.setattr(module, "package_versions", lambda names=(): {"torch": build} if build else {})
    assert ("AMD's GPUs" in of_amd(module.torch_build())) is noted


def test_sizes_come_from_the_system(tmp_path, monkeypatch):
    monkeypatch.setenv("RECIPEKIT_CACHE", str(tmp_path / "not" / "yet"))
    facts = environment()
    assert facts["disk"]["cache"] > 0 and facts["disk"]["cache_folder"] == str(tmp_path / "not" / "yet")
    assert facts["cores"] >= 1


def test_a_token_is_seen_and_never_shown(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    assert not has_token()
    (tmp_path / "elsewhere").write_text("canary-1234567890")
    for name, value in {"HF_TOKEN_PATH": str(tmp_path / "elsewhere"), "HF_TOKEN": "canary-1234567890"}.items():
        monkeypatch.setenv(name, value)
        assert has_token() and "canary" not in str(environment())
        monkeypatch.delenv(name)


@pytest.mark.parametrize("line", ["torch>=2.11,<=2.13.0; extra == 'train'", 'torch<=2.13.0,>=2.11 ; extra == "train"'])
def test_both_ways_to_write_an_extra_are_read(line, monkeypatch):
    monkeypatch.setattr(module, "requires", lambda name: [line])
    assert [package["extra"] for package in packages()] == ["train"]
