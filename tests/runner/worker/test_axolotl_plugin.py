"""What our plug-in asks of Axolotl and transformers beside the rendered file."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("axolotl", reason="needs the extra [train]")

from recipekit.runner.worker.axolotl_plugin import RecipekitPlugin
from transformers import Trainer, TrainingArguments


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")  # of what DeepSpeed imports
@pytest.mark.parametrize("deterministic", [True, None])
def test_a_deterministic_training_uses_torchs_deterministic_algorithms(tmp_path, monkeypatch, deterministic):
    """Where torch has none for an operation it raises, and does not only warn."""
    for name in ("CUBLAS_WORKSPACE_CONFIG", "CUDA_LAUNCH_BLOCKING", "ASCEND_LAUNCH_BLOCKING", "HCCL_DETERMINISTIC"):
        monkeypatch.setenv(name, "unchanged")
    monkeypatch.setenv("FLASH_ATTENTION_DETERMINISTIC", "0")
    cfg = SimpleNamespace(load_best_model_at_end=False, warmup_steps=None, deterministic=deterministic)
    arguments = RecipekitPlugin.get_training_args(SimpleNamespace(), cfg)
    try:
        Trainer(torch.nn.Linear(1, 1), TrainingArguments(str(tmp_path), report_to=[], **arguments))
        assert torch.are_deterministic_algorithms_enabled() == bool(deterministic)
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
