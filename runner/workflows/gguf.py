"""Write a Llama or Qwen2 model and its byte-level BPE tokenizer as one GGUF file, for llama.cpp and programs built on it.

Keys and values follow llama.cpp's convert_hf_to_gguf.py; the tensor names come from the package gguf.
Whatever is not known to be written correctly is refused: other architectures, other tokenizers, rotary embeddings scaled otherwise than
in Llama 3, biases of a Llama, sliding windows.
"""

import json
import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind

from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.base.files import cannot_write
from ..runtime.run_folder import find_run
from ..runtime.seals import require_sealed

# name on the command line -> storage type of matrices; only types that the package can quantise to
QUANTISATIONS = {name: Kind[name.upper()] for name in ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0")}
_FREQUENCIES = "rope_freqs.weight"
_EDGES = ("token_embd.weight", "output.weight")  # rounding costs most here: never below 8 bits
_DIGITS = {"type": "Digits", "individual_digits": True}
_LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPLITS = {_LLAMA_3: "llama-bpe", _LLAMA_3.replace("{1,3}", ""): "qwen2"}  # regular expression -> llama.cpp's name
_NFC = {"type": "NFC"}
ARCHITECTURES = {"LlamaForCausalLM": gguf.MODEL_ARCH.LLAMA, "Qwen2ForCausalLM": gguf.MODEL_ARCH.QWEN2}


class GgufInfo(NamedTuple):
    """The contents of the file: its size in bytes, tensors, tokens, the rule that splits text before BPE, and whether text must be NFC."""

    bytes: int
    tensors: int
    tokens: int
    pre_tokenizer: str
    needs_nfc: bool  # the tokenizer normalises text; llama.cpp does not, and gives other tokens for text in another form


def export_source(name: str, root: Path) -> tuple[Path, Path]:
    """Return the folder of the full model, and the path of the export without its suffix. Raises UserError if the run has none."""
    folder = Path(name)
    if (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file():
        return folder, folder.resolve()
    run = find_run(name, root)
    for made in (run / "merged", run / "model"):
        if (made / "config.json").is_file() and not (made / "adapter_config.json").is_file():
            require_sealed(made)
            return made, run / run.path.resolve().parent.name
    if (run / "model").is_dir():
        raise UserError(Problem(Location(str(run.path)), "has an adapter, but no merged model", f"recipe merge {run.path}", "no-model"))
    raise UserError(Problem(Location(str(run.path)), "has no trained model", f"recipe resume {run.path}", "no-model"))


def write_gguf(folder: Path, target: Path, quantise: str = "f16") -> GgufInfo:
    """Write the model in `folder` to the file `target`, or over an older GGUF file.

    Raises UserError for a model that cannot be written, or for another file in its place, before writing anything.
    """
    if target.exists() and not _is_gguf(target):
        raise UserError(Problem(Location(str(target)), "exists and is not a GGUF file", "choose another file with --out", "not-ours"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    _refuse_others(folder, config, tokenizer)
    pre_tokenizer = pre_tokenizer_name(folder, tokenizer)
    writer = gguf.GGUFWriter(None, gguf.MODEL_ARCH_NAMES[_architecture(config)])
    _add_config(writer, folder, config, quantise)
    tokens = _add_tokenizer(writer, folder, tokenizer, config["vocab_size"], pre_tokenizer)
    stored = {}
    factors = rope_factors(config)
    shapes = _shapes(folder) if factors is None else {_FREQUENCIES: factors.shape} | _shapes(folder)
    for name, shape in shapes.items():
        found = name if name == _FREQUENCIES else gguf_name(name, config)
        kind = _kind(found, shape, QUANTISATIONS[quantise])
        stored[name] = (found, kind)
        length = gguf.quant_shape_to_byte_shape(shape, kind) if kind not in (Kind.F32, Kind.F16) else shape
        dtype = {Kind.F32: np.float32, Kind.F16: np.float16}.get(kind, np.uint8)
        writer.add_tensor_info(found, length, np.dtype(dtype), int(np.prod(length)) * np.dtype(dtype).itemsize, kind)
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        writer.write_header_to_file(temporary)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        if factors is not None:
            writer.write_tensor_data(factors)
        for name, weights in _tensors(folder):
            found, kind = stored[name]
            writer.write_tensor_data(gguf.quants.quantize(_permuted(found, weights, config), kind))
        writer.flush()
        temporary.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from None
    finally:
        writer.close()
        with suppress(OSError):  # there is none to remove if none could be created
            temporary.unlink()
    return GgufInfo(target.stat().st_size, len(stored), tokens, pre_tokenizer, tokenizer.get("normalizer") == _NFC)


def _is_gguf(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) == b"GGUF"


def _architecture(config: dict[str, Any]) -> gguf.MODEL_ARCH:
    return ARCHITECTURES[config["architectures"][0]]


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    return config.get("rope_parameters") or config.get("rope_scaling") or {}


def rope_factors(config: dict[str, Any]) -> np.ndarray | None:
    """Return what llama.cpp divides each rotary frequency by: Llama 3's scaling, from 1 for high frequencies to `factor`; else None."""
    rope = _rope(config)
    if rope.get("rope_type", rope.get("type")) != "llama3":
        return None
    dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    frequencies = _theta(config) ** (-np.arange(0, dim, 2, dtype=np.float64) / dim)
    turns = rope["original_max_position_embeddings"] * frequencies / (2 * math.pi)  # of each pair within the original context
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    share = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / ((1 - share) / rope["factor"] + share)).astype(np.float32)


def _theta(config: dict[str, Any]) -> float:
    return _rope(config).get("rope_theta") or config.get("rope_theta", 10000.0)


def gguf_name(name: str, config: dict[str, Any]) -> str:
    """Return `blk.0.attn_q.weight` for `model.layers.0.self_attn.q_proj.weight`. Raises UserError if the format has no such tensor."""
    names = gguf.get_tensor_name_map(_architecture(config), config["num_hidden_layers"])
    found = names.get_name(name, try_suffixes=(".weight", ".bias"))
    if found is None:
        raise UserError(f"the tensor {name} has no place in a GGUF file of a {config['architectures'][0]}")
    return found


def pre_tokenizer_name(folder: Path, tokenizer: dict[str, Any]) -> str:
    """Return llama.cpp's name for how the tokenizer splits text before BPE. Raises UserError if llama.cpp may split it differently."""
    steps = tokenizer["pre_tokenizer"] or {}
    steps = steps.get("pretokenizers", [steps])
    kinds, last = [step.get("type") for step in steps], steps[-1]
    if kinds[-1:] == ["ByteLevel"] and not last.get("add_prefix_space"):
        if kinds == ["ByteLevel"] and last.get("use_regex", True):
            return "gpt-2"
        if kinds == ["Digits", "ByteLevel"] and steps[0] == _DIGITS and last.get("use_regex", True):
            return "smollm"
        if kinds == ["Split", "ByteLevel"] and not last.get("use_regex", True):
            if name := _SPLITS.get(steps[0]["pattern"].get("Regex", "")):
                return name
    raise UserError(Problem(Location(str(folder / "tokenizer.json")), f"splits text in a way that llama.cpp has no name for: {kinds}",
                            "the tokenizers of SmolLM2, Llama 3, Qwen2 and GPT-2 can be exported", "no-gguf"))  # fmt: skip


def _refuse_others(folder: Path, config: dict[str, Any], tokenizer: dict[str, Any]) -> None:
    """Raise UserError with every reason why the GGUF file would be wrong."""
    what = []
    if config.get("architectures") not in [[name] for name in ARCHITECTURES]:
        found = ", ".join(config.get("architectures") or ["unknown"])
        what.append(f"its architecture is {found}; only {' and '.join(ARCHITECTURES)} are written as GGUF")
    kind = _rope(config).get("rope_type", _rope(config).get("type", "default"))
    if kind not in ("default", "llama3"):
        what.append(f"its rotary embeddings are scaled ({kind}); only those unscaled or scaled as in Llama 3 are written as GGUF")
    if config.get("attention_bias") or config.get("mlp_bias"):
        what.append("its layers have biases; only Qwen2's own are written as GGUF")
    if config.get("use_sliding_window"):
        what.append("its attention has a sliding window; only full attention is written as GGUF")
    normalizer = tokenizer.get("normalizer") or {"normalizers": []}
    plain = normalizer == _NFC or normalizer.get("normalizers") == []
    if tokenizer["model"].get("type") != "BPE" or not tokenizer["pre_tokenizer"] or not plain:
        what.append("its tokenizer is not a byte-level BPE without normalisation (or with NFC); only those are written as GGUF")
    if what:
        hint = "llama.cpp's own convert_hf_to_gguf.py supports more models"
        raise UserError(*(Problem(Location(str(folder)), line, hint, "no-gguf") for line in what))


def _add_config(writer: gguf.GGUFWriter, folder: Path, config: dict[str, Any], quantise: str) -> None:
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_name(folder.parent.name if folder.name in ("model", "merged") else folder.name)
    writer.add_file_type(gguf.LlamaFileType["ALL_F32" if quantise == "f32" else f"MOSTLY_{quantise.upper()}"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_rope_dimension_count(head_dim)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_freq_base(_theta(config))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])


def _add_tokenizer(writer: gguf.GGUFWriter, folder: Path, tokenizer: dict[str, Any], size: int, pre_tokenizer: str) -> int:
    """Add every token at its id, merges, special tokens and chat template; return the number of tokens. Rows without a token are marked
    unused."""
    tokens = {number: text for text, number in tokenizer["model"]["vocab"].items()}
    types = dict.fromkeys(tokens, gguf.TokenType.NORMAL)
    for added in tokenizer["added_tokens"]:
        tokens[added["id"]] = added["content"]
        types[added["id"]] = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
    if max(tokens) >= size:
        raise UserError(
            Problem(
                Location(str(folder)), f"its tokenizer has the id {max(tokens):,}, but its model has only {size:,} rows", rule="no-gguf"
            )
        )
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer)
    writer.add_token_list([tokens.get(number, f"[PAD{number}]") for number in range(size)])
    writer.add_token_types([types.get(number, gguf.TokenType.UNUSED) for number in range(size)])
    gguf.SpecialVocab(folder, load_merges=True, n_vocab=size).add_to_gguf(writer, quiet=True)
    return len(tokens)


def _kind(name: str, shape: tuple[int, ...], wanted: Kind) -> Kind:
    """Return a tensor's storage type: float32 for vectors, at least 8 bits for the embeddings, 16 bits for rows that do not fill whole
    blocks."""
    if len(shape) == 1:
        return Kind.F32
    if name in _EDGES and wanted not in (Kind.F32, Kind.F16, Kind.BF16):
        wanted = Kind.Q8_0
    return wanted if shape[-1] % gguf.GGML_QUANT_SIZES[wanted][0] == 0 else Kind.F16


def _permuted(name: str, weights: np.ndarray, config: dict[str, Any]) -> np.ndarray:
    """Return queries and keys with the pairs that are rotated together side by side, as llama.cpp expects; others unchanged."""
    if _architecture(config) != gguf.MODEL_ARCH.LLAMA or (".attn_q." not in name and ".attn_k." not in name):
        return weights
    heads = config["num_attention_heads"]
    heads = heads if ".attn_q." in name else config.get("num_key_value_heads") or heads
    halves = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weights.shape))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("model*.safetensors"))


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return tensor -> shape, in the order in which `_tensors` reads them."""
    from safetensors import safe_open

    found: dict[str, tuple[int, ...]] = {}
    for path in _files(folder):
        with safe_open(path, framework="pt") as weights:
            found |= {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # it is not a dict
    return found


def _tensors(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield tensors one at a time, as float32: numpy has no bfloat16."""
    from safetensors import safe_open

    for path in _files(folder):
        with safe_open(path, framework="pt") as weights:
            for name in weights.keys():  # it is not a dict
                yield name, weights.get_tensor(name).float().numpy()
