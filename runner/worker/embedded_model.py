"""Convert GGUF to safetensors for the embedded SmolLM2-135M-Instruct, once, in a separate process.

python -m recipekit.runner.worker.embedded_model DIR

The tokenizer that transformers reads from the GGUF ends at <|im_start|> and has no padding token. The model's own end of turn is <|im_end|>
(id 2), and its padding must be a different token, or it never learns to stop.
"""

import sys
from pathlib import Path

END_OF_TURN, PADDING, START = "<|im_end|>", "<|endoftext|>", "<|im_start|>"


def convert(folder: Path) -> None:
    """Write config, tokenizer and fp32 weights next to model.gguf."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file="model.gguf")
    tokenizer.eos_token, tokenizer.pad_token, tokenizer.bos_token = END_OF_TURN, PADDING, START
    tokenizer.model_max_length = 8192
    if (tokenizer.eos_token_id, tokenizer.pad_token_id) != (2, 0):
        raise SystemExit(f"unexpected vocabulary: {END_OF_TURN} is {tokenizer.eos_token_id}, {PADDING} is {tokenizer.pad_token_id}")
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file="model.gguf", dtype=torch.float32)
    for settings in (model.config, model.generation_config):
        settings.eos_token_id, settings.pad_token_id, settings.bos_token_id = 2, 0, 1
    model.config._name_or_path = "HuggingFaceTB/SmolLM2-135M-Instruct"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]))
