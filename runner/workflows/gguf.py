"""Write a model and its tokenizer as one GGUF file, for llama.cpp and programs built on it.

Keys and values follow llama.cpp's convert_hf_to_gguf.py; the tensor names come from the package gguf. Whatever is not known to be written
correctly is refused, before anything is written: gguf_architectures.py knows the models, gguf_tokenizer.py their tokenizers.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import cannot_write
from ..models.config_file import model_config
from ..models.weights_file import tensor_shapes
from ..runtime.find_run import find_run
from ..runtime.run_files import LOCK
from ..runtime.run_folder import RunFolder
from ..runtime.seals import require_sealed
from .gguf_architectures import add_config, architecture, faults, notes, rope_tensors, stored
from .gguf_tokenizer import Vocabulary, vocabulary

# name on the command line -> storage type of matrices; only types that the package can quantise to
QUANTISATIONS = {name: Kind[name.upper()] for name in ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0")}
_EDGES = ("token_embd.weight", "output.weight")  # rounding costs most here: never below 8 bits


class GgufInfo(NamedTuple):
    """The contents of the file: its size in bytes, tensors, tokens, the rule that splits text before BPE, and what llama.cpp does otherwise
    than transformers."""

    bytes: int
    tensors: int
    tokens: int
    pre_tokenizer: str
    notes: tuple[str, ...]


def export_source(name: str, root: Path) -> tuple[Path, Path]:
    """Return the folder of the full model, and the path of the export without its suffix. Raises UserError if the run has none."""
    folder = Path(name)
    if (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file():
        require_sealed(folder)
        return folder, folder.resolve()
    run = find_run(name, root)
    for made in (run / "merged", run / "model"):
        if (made / "config.json").is_file() and not (made / "adapter_config.json").is_file():
            require_sealed(made)
            return made, run / run.path.resolve().parent.name
    if (run / "model").is_dir():
        _require_exportable(run)
        raise UserError(Problem(run.path, "has an adapter, but no merged model", f"recipe merge {run.path}", "no-model"))
    raise run.no_model()


def _require_exportable(run: RunFolder) -> None:
    """Raise UserError if the run's merged model could not be written: before it is merged."""
    adapter = run / "model" / "adapter_config.json"
    if adapter.is_file() and json.loads(adapter.read_text(encoding="utf-8")).get("task_type") == "SEQ_CLS":
        hint = f"recipe serve {run.path} classifies over HTTP; recipe merge writes the whole model for transformers"
        raise UserError(Problem(run.path, "is a classifier: a GGUF file is for models that generate text", hint, "no-gguf"))
    base = Path(lock["model"]["path"]) if (lock := run.find(LOCK)) else Path()
    if (base / "config.json").is_file():
        _config(base)
        vocabulary(run / "model", sys.maxsize)


def write_gguf(folder: Path, target: Path, quantise: str = "f16") -> GgufInfo:
    """Write the model in `folder` to the file `target`, or over an older GGUF file.

    Raises UserError for a model that cannot be written, or for another file in its place, before writing anything.
    """
    if target.exists() and not _is_gguf(target):
        raise UserError(Problem(target, "exists and is not a GGUF file", "choose another file with --out", "not-ours"))
    config, words = require_known(folder)
    writer = gguf.GGUFWriter(None, gguf.MODEL_ARCH_NAMES[architecture(config).arch])
    writer.add_name(_name(folder, words))
    writer.add_file_type(gguf.LlamaFileType["ALL_F32" if quantise == "f32" else f"MOSTLY_{quantise.upper()}"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add_config(writer, config)
    words.write(writer, folder, config["vocab_size"])
    extra = rope_tensors(config)
    kinds = {}
    for name, shape in ({name: values.shape for name, values in extra.items()} | _shapes(folder)).items():
        found = name if name in extra else gguf_name(name, config)
        kind = _kind(found, shape, QUANTISATIONS[quantise])
        kinds[name] = (found, kind)
        length = gguf.quant_shape_to_byte_shape(shape, kind) if kind not in (Kind.F32, Kind.F16) else shape
        dtype = {Kind.F32: np.float32, Kind.F16: np.float16}.get(kind, np.uint8)
        writer.add_tensor_info(found, length, np.dtype(dtype), int(np.prod(length)) * np.dtype(dtype).itemsize, kind)
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        writer.write_header_to_file(temporary)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for values in extra.values():
            writer.write_tensor_data(values)
        for name, weights in _tensors(folder):
            found, kind = kinds[name]
            writer.write_tensor_data(gguf.quants.quantize(stored(found, weights, config), kind))
        writer.flush()
        temporary.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from None
    finally:
        writer.close()
        with suppress(OSError):  # there is none to remove if none could be created
            temporary.unlink()
    return GgufInfo(target.stat().st_size, len(kinds), len(words.tokens), words.pre_tokenizer, (*words.notes, *notes(config)))


def require_known(folder: Path) -> tuple[dict[str, Any], Vocabulary]:
    """Return the model's configuration and vocabulary. Raises UserError with every reason why the GGUF file would be wrong."""
    config = _config(folder)
    return config, vocabulary(folder, config["vocab_size"])


def _config(folder: Path) -> dict[str, Any]:
    config = model_config(folder)
    if what := [*faults(config)]:
        raise UserError(*(Problem(folder, line, "llama.cpp's own convert_hf_to_gguf.py supports more models", "no-gguf") for line in what))
    return config


def _name(folder: Path, words: Vocabulary) -> str:
    """Return the model's name. By it llama.cpp decides whether special tokens take the white space after them, as in Phi-3."""
    name = folder.parent.name if folder.name in ("model", "merged") else folder.name
    if words.strips:
        return f"Phi-3: {name}"
    return "model" if "phi-3" in name.lower() or "phi3" in name.lower() else name


def _is_gguf(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) == b"GGUF"


def gguf_name(name: str, config: dict[str, Any]) -> str:
    """Return `blk.0.attn_q.weight` for `model.layers.0.self_attn.q_proj.weight`. Raises UserError if the format has no such tensor."""
    names = gguf.get_tensor_name_map(architecture(config).arch, config["num_hidden_layers"])
    found = names.get_name(name, try_suffixes=(".weight", ".bias"))
    if found is None:
        raise UserError(f"the tensor {name} has no place in a GGUF file of a {config['architectures'][0]}")
    return found


def _kind(name: str, shape: tuple[int, ...], wanted: Kind) -> Kind:
    """Return a tensor's storage type: float32 for vectors, at least 8 bits for the embeddings, 16 bits for rows that do not fill whole
    blocks."""
    if len(shape) == 1:
        return Kind.F32
    if name in _EDGES and wanted not in (Kind.F32, Kind.F16, Kind.BF16):
        wanted = Kind.Q8_0
    return wanted if shape[-1] % gguf.GGML_QUANT_SIZES[wanted][0] == 0 else Kind.F16


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("model*.safetensors"))


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return tensor -> shape, in the order in which `_tensors` reads them."""
    return {name: shape for path in _files(folder) for name, shape in tensor_shapes(path).items()}


def _tensors(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield tensors one at a time, as float32: numpy has no bfloat16."""
    from safetensors import safe_open

    for path in _files(folder):
        with safe_open(path, framework="pt") as weights:
            for name in weights.keys():  # it is not a dict
                yield name, weights.get_tensor(name).float().numpy()
