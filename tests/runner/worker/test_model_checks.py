"""Models that a training cannot begin with are found by trying them; ordinary ones of many architectures are not refused."""

import re
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from recipekit.runner.models.reference import ModelReference
from recipekit.runner.worker.loading import load
from recipekit.runner.worker.model_checks import (
    cannot_adapt_all,
    cannot_load,
    looks_ahead,
    missing_weights,
    never_trained,
    reads_padding,
    remember_missing_weights,
)
from recipekit.schemas.base.errors import UserError
from safetensors.torch import load_file, save_file

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what loading a DeBERTa compiles
SIZE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
GROUPED = SIZE | {"num_key_value_heads": 2, "head_dim": 8}
N = {"n_embd": 32, "n_layer": 2, "n_head": 4}
SIZES = {
    "bert": SIZE, "roberta": SIZE, "electra": SIZE, "distilbert": {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4},
    "deberta-v2": SIZE | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}, "modernbert": SIZE, "convbert": SIZE,
    "xlnet": {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64}, "fnet": SIZE,
    "llama": GROUPED, "qwen2": SIZE | {"num_key_value_heads": 2}, "qwen3": GROUPED, "mistral": GROUPED, "gemma2": GROUPED,
    "gemma3_text": GROUPED, "phi3": SIZE | {"num_key_value_heads": 2}, "gpt2": N, "gpt_neox": SIZE, "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "falcon": SIZE, "opt": {"hidden_size": 32, "ffn_dim": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "word_embed_proj_dim": 32},
    "mixtral": GROUPED | {"num_local_experts": 4},
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2},
}  # fmt: skip


PECULIAR = {"ctrl": {"n_embd": 32, "n_layer": 2, "n_head": 4, "dff": 64}, "phimoe": GROUPED | {"num_local_experts": 4},
            "deepseek_v4": {"hidden_size": 32, "moe_intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "head_dim": 16,
                            "qk_rope_head_dim": 2, "q_lora_rank": 8, "o_groups": 2, "o_lora_rank": 8, "n_routed_experts": 2,
                            "num_experts_per_tok": 1, "index_n_heads": 2, "index_head_dim": 16}}  # fmt: skip


def made(kind, name: str, **changes):
    torch.manual_seed(0)
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
    config = transformers.AutoConfig.for_model(name, vocab_size=64, **special, **(SIZES | PECULIAR)[name], **changes)
    config.pad_token_id = 0
    return kind.from_config(config)


@pytest.mark.parametrize("name", ["bert", "roberta", "electra", "xlnet"])
def test_a_model_that_sees_the_tokens_it_is_to_predict_is_found_out(name):
    model = made(transformers.AutoModelForCausalLM, name).train()
    assert looks_ahead(model) and model.training


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize(
    "name", [name for name in SIZES if name not in ("distilbert", "deberta-v2", "modernbert", "convbert", "xlnet", "fnet")]
)
def test_a_causal_model_does_not(name, dtype):
    changes = {"is_decoder": True} if name in ("bert", "roberta", "electra") else {}
    assert not looks_ahead(made(transformers.AutoModelForCausalLM, name, **changes).to(dtype))


@pytest.mark.parametrize("name", ["xlnet", "fnet"])
def test_a_classifier_that_reads_its_padding_is_found_out(name):
    assert reads_padding(made(transformers.AutoModelForSequenceClassification, name, num_labels=3), 0)


@pytest.mark.parametrize("name", [name for name in SIZES if name not in ("xlnet", "fnet", "mamba")])
def test_other_classifiers_do_not(name):
    assert not reads_padding(made(transformers.AutoModelForSequenceClassification, name, num_labels=3), 0)


def saved(folder, model, renamed):
    """Save the model with the names of its weights changed; None leaves a weight out."""
    model.save_pretrained(folder)
    weights = {renamed(name): weight for name, weight in load_file(folder / "model.safetensors").items()}
    save_file({name: weight for name, weight in weights.items() if name}, folder / "model.safetensors", {"format": "pt"})
    return folder


LACKING = {
    "no head": (lambda name: "" if name == "lm_head.weight" else name, "1 of its weights, which would be random: lm_head.weight"),
    "the names of a compiled model": (lambda name: f"_orig_mod.{name}", "21 of its weights, which would be random: lm_head.weight, "),
}


@pytest.mark.parametrize("lacking", LACKING)
def test_weights_that_no_file_has_are_named(tmp_path, tiny_model, lacking):
    renamed, what = LACKING[lacking]
    folder = saved(tmp_path / "model", made(transformers.AutoModelForCausalLM, "llama", tie_word_embeddings=False), renamed)
    remember_missing_weights()
    assert what in missing_weights(transformers.AutoModelForCausalLM.from_pretrained(folder))
    reference = ModelReference(name="mine", base=str(folder), adapter="", tokenizer=str(tiny_model), identity="", note="")
    with pytest.raises(UserError, match="which would be random"):
        load(reference, device="cpu")


@pytest.mark.parametrize("name", ["llama", "bert", "gpt2"])
def test_a_classifier_may_have_a_new_head_but_no_new_body(tmp_path, name):
    model = made(transformers.AutoModel, name)
    folder = saved(tmp_path / "model", model, lambda name: "" if "pooler" in name else name)
    remember_missing_weights()
    assert missing_weights(transformers.AutoModelForSequenceClassification.from_pretrained(folder)) == ""
    folder = saved(tmp_path / "other", model, lambda name: f"module.{name}")
    assert "would be random" in missing_weights(transformers.AutoModelForSequenceClassification.from_pretrained(folder))


def test_tied_weights_are_not_missing(tmp_path, tiny_model, tiny_gpt2):
    remember_missing_weights()
    for folder in (tiny_model, tiny_gpt2):
        model = transformers.AutoModelForCausalLM.from_pretrained(folder)
        assert model.missing_weights == [] and missing_weights(model) == ""


@pytest.mark.parametrize(
    ("name", "changes", "why"),
    [
        ("t5", {}, "no causal language model of the type t5: it encodes a question"), ("mamba", {}, "a mamba has no sdpa"),
        ("mamba", {"attn_implementation": "eager"}, ""), ("llama", {}, ""), ("qwen3", {}, ""), ("bart", {}, ""), ("gemma3_text", {}, ""),
        ("bert", {"record_type": "classification"}, ""), ("t5", {"record_type": "classification"}, ""),
    ],
)  # fmt: skip
def test_a_model_that_transformers_cannot_load_is_named(tmp_path, name, changes, why):
    from axolotl.utils.dict import DictDefault

    transformers.AutoConfig.for_model(name).save_pretrained(tmp_path)
    found = cannot_load(DictDefault({"base_model": str(tmp_path), "attn_implementation": "sdpa"} | changes))
    assert why in found and bool(why) == bool(found)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("mamba", r"include out_proj: peft refuses it in a Mamba; name the layers instead: dt_proj, in_proj, x_proj$"),
        ("ctrl", r"include 0: a EncoderLayer has this name; name the layers instead: .*Wq"),
        ("phimoe", r"include router: a \w+Router has this name; name the layers instead: k_proj"),
        ("deepseek_v4", r"include o_a_proj: a \w+GroupedLinear has this name; name the layers instead: .*o_b_proj"),
    ],
)
def test_an_adapter_on_all_linear_layers_that_peft_would_refuse_is_refused_with_those_that_it_takes(name, why):
    assert re.search(why, cannot_adapt_all(made(transformers.AutoModelForCausalLM, name)))


@pytest.mark.parametrize("name", ["llama", "gpt2", "falcon", "mixtral", "bloom", "gpt_neox"])
def test_an_adapter_on_all_linear_layers_of_other_models_is_not(name):
    assert cannot_adapt_all(made(transformers.AutoModelForCausalLM, name)) == ""


def test_tokens_that_a_model_was_never_trained_on_are_named_unless_they_are_trained_now():
    peft = pytest.importorskip("peft")
    tokenizer = SimpleNamespace(convert_ids_to_tokens=lambda ids: [f"<{number}>" for number in ids])

    def adapted(**settings):
        model = made(transformers.AutoModelForCausalLM, "llama")
        with torch.no_grad():
            model.get_input_embeddings().weight[[7, 9, 11]] = 0
        return peft.get_peft_model(model, peft.LoraConfig(target_modules=["q_proj"], **settings))

    rows = {"input_ids": [[3, 9, 4], [7, 5, 9]]}
    found = never_trained(adapted(), tokenizer, rows)
    assert "this training leaves their embeddings at zero: <7>, <9>; choose the instruct model" in found
    assert found.endswith("axolotl.lora_modules_to_save")
    assert never_trained(adapted(), tokenizer, {"input_ids": [[3, 4]]}) == ""
    assert never_trained(adapted(modules_to_save=["embed_tokens", "lm_head"]), tokenizer, rows) == ""
    assert never_trained(made(transformers.AutoModelForCausalLM, "llama"), tokenizer, rows) == ""
    partly = adapted().unload()  # without an adapter, its embeddings frozen
    partly.get_input_embeddings().requires_grad_(False)
    assert never_trained(partly, tokenizer, rows).endswith("axolotl.unfrozen_parameters")
