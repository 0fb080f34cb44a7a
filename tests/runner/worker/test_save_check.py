"""Saving before the first step, with real models and adapters: it leaves nothing behind, and what would fail in the end fails now."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from recipekit.runner.worker import save_check
from recipekit.runner.worker.save_check import check_save
from safetensors.torch import load_file, save_file

# saving imports DeepSpeed, whose own imports warn
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture
def parts(tiny_model):
    """A model and its tokenizer."""
    return transformers.AutoModelForCausalLM.from_pretrained(tiny_model), transformers.AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture
def adapter(parts):
    from peft import LoraConfig, get_peft_model

    return get_peft_model(parts[0], LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")), parts[1]


@pytest.fixture
def classifier(tiny_model, parts):
    from peft import LoraConfig, get_peft_model

    base = transformers.AutoModelForSequenceClassification.from_pretrained(tiny_model, num_labels=3)
    return get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"], task_type="SEQ_CLS")), parts[1]


@pytest.mark.parametrize("kind", ["parts", "adapter", "classifier"])
def test_the_save_check_removes_its_files(kind, request, tmp_path):
    check_save(*request.getfixturevalue(kind), tmp_path / "save_check")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["parts", "adapter"])
def test_weights_that_the_files_do_not_hold_are_found(kind, request, tmp_path, monkeypatch):
    model, tokenizer = request.getfixturevalue(kind)
    monkeypatch.setattr(type(model), "save_pretrained", lambda self, folder: None)
    with pytest.raises(ValueError, match="trained weights are not saved, such as"):
        check_save(model, tokenizer, tmp_path / "save_check")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_saved_with_other_values_are_found(adapter, tmp_path, monkeypatch):
    model, tokenizer = adapter
    save = type(model).save_pretrained

    def stale(self, folder):
        save(self, folder)
        with torch.no_grad():
            next(p for p in self.parameters() if p.requires_grad).add_(1)

    monkeypatch.setattr(type(model), "save_pretrained", stale)
    with pytest.raises(ValueError, match="is saved with different values"):
        check_save(model, tokenizer, tmp_path / "save_check")


@pytest.mark.parametrize("most", [1 << 30, 0], ids=["weights and all", "all but the weights"])
def test_settings_of_generation_that_contradict_each_other_fail_now(parts, tmp_path, monkeypatch, most):
    """transformers refuses them when a model is saved: after the training, as it was."""
    monkeypatch.setattr(save_check, "MOST_BYTES", most)
    model, tokenizer = parts
    model.generation_config.do_sample, model.generation_config.temperature = False, 0.5
    with pytest.raises(ValueError, match="temperature"):
        check_save(model, tokenizer, tmp_path / "save_check")


def test_large_weights_are_not_written_twice(parts, tmp_path, monkeypatch):
    monkeypatch.setattr(save_check, "MOST_BYTES", 0)
    monkeypatch.setattr(type(parts[0]), "save_pretrained", lambda self, folder: pytest.fail("it was written"))
    check_save(*parts, tmp_path / "save_check")


SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 64}
OTHER_NAMES = {
    "gpt_neox": SMALL, "mixtral": SMALL | {"num_key_value_heads": 2, "num_local_experts": 4},
    "qwen3_moe": SMALL | {"num_key_value_heads": 2, "num_experts": 4, "moe_intermediate_size": 16, "head_dim": 8},
}  # fmt: skip


@pytest.fixture(params=OTHER_NAMES)
def other_names(request, tmp_path):
    """A model with other names, or other tensors, in its files than in memory."""
    config = transformers.AutoConfig.for_model(request.param, **OTHER_NAMES[request.param])
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "model")
    return transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model")


def test_a_model_whose_files_have_other_names_than_its_weights_passes(other_names, parts, tmp_path):
    """Every full training of a small Pythia, or of a mixture of experts, was refused."""
    assert {*load_file(tmp_path / "model" / "model.safetensors")} != {name for name, _ in other_names.named_parameters()}
    check_save(other_names, parts[1], tmp_path / "save_check")


def test_a_lost_weight_of_such_a_model_is_found(other_names, parts, tmp_path, monkeypatch):
    save = type(other_names).save_pretrained

    def without_one(self, folder):
        save(self, folder)
        tensors = load_file(folder / "model.safetensors")
        tensors.pop(next(name for name in tensors if "experts" in name or "embed_out" in name))
        save_file(tensors, folder / "model.safetensors")

    monkeypatch.setattr(type(other_names), "save_pretrained", without_one)
    with pytest.raises(ValueError, match="1 trained weight is not saved, such as .*(experts|embed_out)"):
        check_save(other_names, parts[1], tmp_path / "save_check")


@pytest.mark.parametrize(("layers", "is_found"), [(["q_proj", "k_proj"], True), ("all-linear", False)])
def test_an_adapter_that_peft_would_load_without_some_of_its_weights_is_refused(parts, tmp_path, layers, is_found):
    """peft renames the shared experts of a Laguna as it loads them, and goes on without them, with a warning: they would be as before."""
    from peft import LoraConfig, get_peft_model

    config = transformers.AutoConfig.for_model(
        "laguna", hidden_size=32, intermediate_size=32, moe_intermediate_size=32, shared_expert_intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_attention_heads_per_layer=[2, 2], num_key_value_heads=2, head_dim=16, vocab_size=64, num_experts=2,
        num_experts_per_tok=1, layer_types=["full_attention"] * 2, mlp_layer_types=["dense", "sparse"], pad_token_id=0, bos_token_id=1,
        eos_token_id=2,
    )  # fmt: skip
    base = transformers.AutoModelForCausalLM.from_config(config)
    model = get_peft_model(base, LoraConfig(r=2, target_modules=layers, task_type="CAUSAL_LM"))
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    if is_found:
        check_save(model, parts[1], tmp_path / "save_check")
    else:
        with pytest.raises(ValueError, match=r"peft would not find 6 trained weights again, such as .*shared_experts.*lora_target_modules"):
            check_save(model, parts[1], tmp_path / "save_check")
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters()), "the model is as it was"
