"""A reply is the same in any batch, and a batch that does not fit on the GPU is answered in parts."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from recipekit.runner.worker.generation import Reply, generate, in_memory
from recipekit.runner.worker.loading import LoadedModel

SIZE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
LINEAR = {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32}
STATE = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 8}
FAMILIES = {
    "llama": {}, "gemma3_text": {"head_dim": 8, "sliding_window": 8}, "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "bloom": {"n_layer": 2, "n_head": 4}, "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32}, "mamba": {},
    "lfm2": {"layer_types": ["conv", "full_attention"]}, "falcon_h1": STATE | {"mamba_d_ssm": 64},
    "qwen3_next": LINEAR | EXPERTS | {"head_dim": 8, "layer_types": ["linear_attention", "full_attention"]},
    "qwen3_5_text": LINEAR | {"head_dim": 8, "layer_types": ["linear_attention", "full_attention"]},
    "granitemoehybrid": STATE | {"layer_types": ["mamba", "attention"], "num_local_experts": 0, "shared_intermediate_size": 32},
    "rwkv": {"attention_hidden_size": 32, "context_length": 64},
    "bart": {"d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 64},
}  # fmt: skip
PROMPTS = [[5, 9, 17], [33, 21, 8, 90, 41, 77, 60], [12], [*range(7, 18)]]
LENGTHS = [6, 3, 9, 5]


def replies(loaded, prompts, lengths):
    asked = [Reply(prompt, length) for prompt, length in zip(prompts, lengths, strict=True)]
    generate(loaded, asked)
    return [reply.token_ids for reply in asked]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_reply_does_not_depend_on_its_batch(name):
    """Replies of different lengths leave the batch at different times: from a cache of attention, of states, or of both."""
    torch.manual_seed(0)
    special = {"vocab_size": 128, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = transformers.AutoConfig.for_model(name, **{**special, **SIZE, **FAMILIES[name]})
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1 and weight.std() < 0.05:
                weight *= 6  # new weights are so small that most models would say the same token again and again
    loaded = LoadedModel(name, model, None, frozenset(), 0, 64, "cpu")
    apart = [replies(loaded, [prompt], [length])[0] for prompt, length in zip(PROMPTS, LENGTHS, strict=True)]
    assert replies(loaded, PROMPTS, LENGTHS) == apart
    assert len({*map(tuple, apart)}) == len(apart), "equal replies would show nothing"


def fitting(most, tried):
    def answer(batch):
        tried.append(len(batch))
        if len(batch) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [number * number for number in batch]

    return answer


@pytest.mark.parametrize(
    ("most", "tried"), [(8, [8]), (4, [8, 4, 4]), (3, [8, 4, 2, 2, 4, 2, 2]), (1, [8, 4, 2, 1, 1, 2, 1, 1, 4, 2, 1, 1, 2, 1, 1])]
)
def test_every_row_is_answered_in_order_whatever_fits(most, tried):
    seen = []
    assert in_memory(fitting(most, seen), [*range(8)]) == [number * number for number in range(8)]
    assert seen == tried


def test_a_row_that_does_not_fit_by_itself_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        in_memory(fitting(0, []), [1, 2, 3])
