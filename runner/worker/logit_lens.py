"""Logit lens: the next token that each layer of a model would predict if it were the last (nostalgebraist 2020).

The hidden state after each layer goes through the model's final normalisation and output embedding. For the last layer, the result is the
model's own prediction.
"""

from typing import Any

import torch

from .loss import unwrapped

POSITIONS = 8  # the last tokens of a prompt: more columns would not fit on a page
NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm", "final_norm")


@torch.inference_mode()
def lens(model: Any, tokenizer: Any, prompts: list[str]) -> list[dict[str, Any]]:
    """Return, for each prompt, its last tokens, and after each layer (embeddings first) the most likely next token with its probability."""
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
            texts = [tokenizer.decode([token], clean_up_tokenization_spaces=False) for token in best.indices.tolist()]
            layers.append([{"token": token, "p": round(p, 4)} for token, p in zip(texts, best.values.tolist(), strict=True)])
        tokens = [tokenizer.decode([token], clean_up_tokenization_spaces=False) for token in ids[0, -POSITIONS:].tolist()]
        found.append({"prompt": prompt, "tokens": tokens, "layers": layers})
    return found


def last_norm(model: Any) -> Any:
    """Return the normalisation before the output embedding, also below an adapter."""
    inner = unwrapped(model)
    decoder = getattr(inner, inner.base_model_prefix, inner)
    norm = next((module for name in NORMS if (module := getattr(decoder, name, None)) is not None), None)
    if norm is None:
        raise ValueError(f"{type(decoder).__name__} has none of {', '.join(NORMS)}: its final normalisation is unknown")
    return norm
