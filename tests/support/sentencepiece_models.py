"""Tiny models of the architectures with SentencePiece tokenizers: python -m tests.support.sentencepiece_models NAME FOLDER.

The tokenizers have the parts of the real ones: normalisation, 256 bytes, merges of every pair whose result is a token, special tokens.
"""

import json
import sys
from pathlib import Path

from .tiny import emogpt_rows

SPACE = "\u2581"
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
LLAMA = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE}, REPLACE]}
METASPACE = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": False}
MERGED_WITH_PREVIOUS = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
# name -> normalizer, pre_tokenizer, special tokens, those that take the white space after them
TOKENIZERS = {
    "mistral": (None, METASPACE, ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"], []),
    "llama2": (LLAMA, None, ["<unk>", "<s>", "</s>"], []),
    "phi3": (LLAMA, None, ["<unk>", "<s>", "</s>", "<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"],
             ["</s>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"]),
    "gemma2": (REPLACE, MERGED_WITH_PREVIOUS, ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"], []),
}  # fmt: skip
BEGIN = {"gemma2": "<bos>"}
SIZES = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
         "max_position_embeddings": 512, "vocab_size": 640}  # fmt: skip


def pieces(texts: list[str], more: tuple[str, ...] = ()) -> list[str]:
    """Characters, then pieces in the order in which they are joined; `more` first."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE)
    trained.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=300))
    return sorted({*trained.get_vocab(), *more}, key=lambda piece: (len(piece) > 1, trained.token_to_id(piece) or 0))


def tokenizer_json(name: str, texts: list[str]) -> dict:
    """The tokenizer.json."""
    normalizer, before, special, stripping = TOKENIZERS[name]
    found = pieces(texts, ("\n", "\n\n", SPACE * 2) if name == "gemma2" else ())  # line ends are pieces in Gemma, bytes elsewhere
    vocab = {text: number for number, text in enumerate([*special, *(f"<0x{n:02X}>" for n in range(256)), *found])}
    merges = [[piece[:cut], piece[cut:]] for piece in found for cut in range(1, len(piece)) if {piece[:cut], piece[cut:]} <= {*found}]
    added = [
        {"id": vocab[text], "content": text, "single_word": False, "lstrip": False, "rstrip": text in stripping, "normalized": False,
         "special": True}
        for text in special
    ]  # fmt: skip
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
             "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "vocab": vocab, "merges": merges}  # fmt: skip
    decoder = {
        "type": "Sequence",
        "decoders": [{**REPLACE, "pattern": {"String": SPACE}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}],
    }
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normalizer, "pre_tokenizer": before,
            "post_processor": None, "decoder": decoder, "model": model}  # fmt: skip


def config_of(name: str):
    """The model's configuration, with what is particular to the architecture, and its class."""
    import transformers as tr

    if name == "phi3":
        factors = [1.0 + n / 4 for n in range(8)]
        rope = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": factors, "long_factor": [2 * one for one in factors],
                "original_max_position_embeddings": 256}  # fmt: skip
        config = tr.Phi3Config(
            **SIZES, rope_parameters=rope, original_max_position_embeddings=256, pad_token_id=0, bos_token_id=1, eos_token_id=6
        )
        return config, tr.Phi3ForCausalLM
    if name == "gemma2":
        config = tr.Gemma2Config(
            **SIZES, head_dim=16, query_pre_attn_scalar=16, sliding_window=8, bos_token_id=2, eos_token_id=1, pad_token_id=0
        )
        return config, tr.Gemma2ForCausalLM
    if name == "mistral":
        return tr.MistralConfig(**SIZES, sliding_window=None, bos_token_id=1, eos_token_id=2), tr.MistralForCausalLM
    return tr.LlamaConfig(**SIZES, bos_token_id=1, eos_token_id=2), tr.LlamaForCausalLM


def build(name: str, folder: Path, texts: list[str]) -> None:
    """Write the model with seeded random weights, and its tokenizer."""
    import torch
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer.from_str(json.dumps(tokenizer_json(name, texts)))
    fast = PreTrainedTokenizerFast(tokenizer_object=made, bos_token=BEGIN.get(name, "<s>"), unk_token="<unk>")
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config, architecture = config_of(name)
    model = architecture(config)
    for key, weights in model.named_parameters():
        if "norm" in key:  # a fresh norm is the same with and without its weights
            torch.nn.init.normal_(weights, 1 if name != "gemma2" else 0, 0.3)
    model.save_pretrained(folder)


if __name__ == "__main__":
    build(sys.argv[1], Path(sys.argv[2]), [m["content"] for row in emogpt_rows() for m in row["messages"]])
