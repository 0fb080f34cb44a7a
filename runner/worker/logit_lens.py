"""Logit lens: which token each layer of a model would say next, if it were the last (nostalgebraist 2020).

The hidden state after each layer goes through the model's own last normalisation and output embedding. In the last layer this is what the
model says.
"""

from typing import Any

import torch

POSITIONS = 8  # the last tokens of a prompt: more columns cannot be read on a page
NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm", "final_norm")


@torch.inference_mode()
def lens(model: Any, tokenizer: Any, prompts: list[str]) -> list[dict[str, Any]]:
    """For each prompt: its last tokens, and after each layer (embeddings first) the likeliest next token, with its probability."""
    found = []
    for prompt in prompts:
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"].to(model.device)
        states = model(input_ids=ids, output_hidden_states=True).hidden_states
        layers = []
        for number, state in enumerate(states):
            shown = state[0, -POSITIONS:]
            # transformers normalises the last state itself
            logits = model.get_output_embeddings()(shown if number == len(states) - 1 else last_norm(model)(shown)).float()
            best = logits.softmax(-1).max(-1)
            said = [tokenizer.decode([token], clean_up_tokenization_spaces=False) for token in best.indices.tolist()]
            layers.append([{"token": token, "p": round(p, 4)} for token, p in zip(said, best.values.tolist(), strict=True)])
        tokens = [tokenizer.decode([token], clean_up_tokenization_spaces=False) for token in ids[0, -POSITIONS:].tolist()]
        found.append({"prompt": prompt, "tokens": tokens, "layers": layers})
    return found


def last_norm(model: Any) -> Any:
    """The normalisation before the output embedding; the model itself where an adapter wraps it."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    decoder = getattr(inner, inner.base_model_prefix, inner)
    norm = next((module for name in NORMS if (module := getattr(decoder, name, None)) is not None), None)
    if norm is None:
        raise ValueError(f"{type(decoder).__name__} has none of {', '.join(NORMS)}: the logit lens does not know its last normalisation")
    return norm
