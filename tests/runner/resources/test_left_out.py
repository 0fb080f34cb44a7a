"""Attention that a kernel would compute without a part of the model's: what is refused, and that it is all that transformers has."""

import ast
import inspect
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from recipekit.runner.models.architecture import Architecture, architecture_of, left_out
from recipekit.runner.resources.model_checks import architecture_problems
from recipekit.schemas.recipe import load_recipe

from ...support.tiny import write_recipe

needs_transformers = pytest.mark.skipif(find_spec("transformers") is None, reason="needs the extra [train]: transformers")
# What a model gives attention beside what shapes the mask, which every implementation gets, and the ends of rows.
IN_THE_MASK = {"sliding_window", "is_causal", "position_ids", "cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k"}
NO_NUMBERS = {"output_attentions", "deterministic"}
TYPES = {"deberta_v2": "deberta-v2", "megatron_bert": "megatron-bert", "openai": "openai-gpt"}  # which are not the name of their folder
NO_TEXT = {"auto", "clvp", "sew_d", "wavlm"}
# Sparse attention: sdpa gets the chosen tokens as a mask (get_mask_for_indices), as eager does.
SPARSE = {"axk2", "deepseek_v32", "glm_moe_dsa", "minimax_m3_vl"}


@pytest.mark.parametrize(
    ("config", "attention", "key"),
    [
        ({"model_type": "gemma2", "attn_logit_softcapping": 50.0, "head_dim": 8}, None, "attn_logit_softcapping"),
        ({"model_type": "gemma2", "attn_logit_softcapping": 50.0, "head_dim": 8}, "sdpa", "attn_logit_softcapping"),
        ({"model_type": "gemma2", "attn_logit_softcapping": 50.0, "head_dim": 8}, "eager", ""),
        ({"model_type": "gemma2", "attn_logit_softcapping": 50.0, "head_dim": 8}, "flash_attention_2", ""),
        ({"model_type": "gemma2", "attn_logit_softcapping": None, "head_dim": 8}, "sdpa", ""),
        ({"model_type": "qwen2_moe", "sliding_window": 64, "use_sliding_window": True}, "flash_attention_2", "sliding_window"),
        ({"model_type": "qwen2_moe", "sliding_window": 64, "use_sliding_window": False}, "flash_attention_2", ""),
        ({"model_type": "mistral", "sliding_window": 64}, "flash_attention_2", ""),
        ({"model_type": "gpt2"}, "flex_attention", "attention_dropout"),
        ({"model_type": "llama", "attention_dropout": 0.1}, "flex_attention", "attention_dropout"),
        ({"model_type": "llama"}, "flex_attention", ""),
        ({"model_type": "gpt_oss"}, None, "attention"),
        ({"model_type": "gpt_oss"}, "eager", ""),
    ],
)  # fmt: skip
def test_a_recipe_whose_attention_would_be_another_models_is_refused(tmp_path, config, attention, key):
    (tmp_path / "model").mkdir()
    sizes = {"num_attention_heads": 4, "hidden_size": 64, "max_position_embeddings": 4096}
    (tmp_path / "model" / "config.json").write_text(json.dumps(sizes | config))
    settings = (f"model.attn_implementation={attention}",) if attention else ()
    loaded = load_recipe(str(write_recipe(tmp_path, tmp_path / "model")), settings)
    problems = architecture_problems(loaded, architecture_of(loaded.recipe.model))
    wanted = f"model.attn_implementation: {attention or 'sdpa'} does not compute the model's {key}"
    assert [problem.what for problem in problems] == ([wanted] if key else [])
    assert all(problem.hint.startswith("set it to eager") for problem in problems)


@cache
def given_to_attention():
    """By model type of transformers: its source, and the names that its layers give the attention they were told to use."""
    import transformers

    found = {}
    for path in sorted(Path(transformers.__file__).parent.glob("models/*/modeling_*.py")):
        source = path.read_text(encoding="utf-8")
        called = [(node.func, node.keywords) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
        given = [words for function, words in called if isinstance(function, ast.Name) and function.id == "attention_interface"]
        found[path.parent.name] = source, {word.arg for words in given for word in words} - {None}
    return found


@needs_transformers
@pytest.mark.parametrize(
    ("attention", "flag", "lost"),
    [
        ("sdpa", "_supports_sdpa", {"gemma2": {"softcap"}, "t5gemma": {"softcap"}, "vaultgemma": {"softcap"}}),
        ("flash", "_supports_flash_attn", {}),
    ],
)
def test_what_transformers_would_leave_out_is_known(attention, flag, lost):
    from transformers.integrations.flash_attention import flash_attention_forward
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    forward = {"sdpa": sdpa_attention_forward, "flash": flash_attention_forward}[attention]
    taken = {*inspect.signature(forward).parameters} | IN_THE_MASK | NO_NUMBERS
    models = {name: names for name, (source, names) in given_to_attention().items() if f"{flag} = True" in source}
    ignored = {name: names - taken - ({"indices", "block_indices"} if name in SPARSE else set()) for name, names in models.items()}
    assert len(models) > 100 and {name: names for name, names in ignored.items() if names} == lost


@needs_transformers
def test_the_models_that_have_no_sdpa_are_known():
    heads = ("ForCausalLM(", "ForSequenceClassification(")
    trained = {name: source for name, (source, _) in given_to_attention().items() if any(head in source for head in heads)}
    refused = {name for name in trained if left_out("sdpa", Architecture(TYPES.get(name, name), 64, False))}
    assert {name for name, source in trained.items() if "_supports_sdpa = True" not in source} - NO_TEXT == refused
    assert len(trained) > 150 and "gpt_oss" in refused


@needs_transformers
def test_the_models_whose_window_flash_attention_does_not_get_are_known():
    windows = {name for name, (source, names) in given_to_attention().items() if "create_sliding_window_causal_mask" in source
               and "_supports_flash_attn = True" in source and "sliding_window" not in names}  # fmt: skip
    windows -= {"paligemma"}  # its layers are those of another model
    assert windows == {name for name in given_to_attention() if left_out("flash_attention_2", Architecture(name, 64, False, sliding=True))}


@needs_transformers
def test_sdpa_leaves_out_the_cap_of_scores_and_eager_does_not():
    """The reason for all this, in transformers' own Gemma 2."""
    torch = pytest.importorskip("torch")
    from transformers import Gemma2Config, Gemma2ForCausalLM

    def logits(attention, cap):
        torch.manual_seed(0)
        config = Gemma2Config(vocab_size=97, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
                              num_key_value_heads=2, head_dim=16, attn_logit_softcapping=cap)  # fmt: skip
        config._attn_implementation = attention
        with torch.no_grad():
            return Gemma2ForCausalLM(config).eval()(input_ids=torch.arange(16)[None]).logits

    assert torch.allclose(logits("sdpa", 1e-3), logits("sdpa", None), atol=1e-6)
    assert not torch.allclose(logits("eager", 1e-3), logits("eager", None), atol=1e-6)
