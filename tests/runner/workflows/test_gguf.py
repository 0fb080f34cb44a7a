"""GGUF files of a tiny Llama, read back by transformers' own loader; and what is refused."""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
gguf = pytest.importorskip("gguf", reason="needs the extra [train]")

from recipekit.runner.workflows.gguf import RECORD_TYPES, pre_tokenizer_name, write_gguf
from recipekit.schemas.base.errors import UserError

# In a process of its own: the loader warns of what is not ours.
READ_BACK = """
import json, sys, warnings
warnings.simplefilter("ignore")
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, *files = sys.argv[1:]
text = "Where does the cat sleep, number 42?\\n<|im_start|>user\\nHello 🌙<|im_end|>"
tokenizer = AutoTokenizer.from_pretrained(folder)
ids = tokenizer(text)["input_ids"]
with torch.inference_mode():
    logits = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(torch.tensor([ids])).logits
for name in files:
    same = AutoTokenizer.from_pretrained(folder, gguf_file=name)(text)["input_ids"] == ids
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    with torch.inference_mode():
        found = model(torch.tensor([ids])).logits
    print(json.dumps({"file": name, "same_ids": same, "difference": float((found - logits).abs().max() / logits.abs().max())}))
"""
# Of the logits' size; rounding to 8, 5 and 4 bits moves a model of 64 dimensions more than a real one.
LARGEST = {"f32": 1e-5, "f16": 1e-3, "bf16": 1e-2, "q8_0": 3e-2, "q5_1": 0.2, "q5_0": 0.2, "q4_1": 0.4, "q4_0": 0.4}


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copied = tmp_path_factory.mktemp("gguf") / "model"
    shutil.copytree(tiny_model, copied)
    return copied


def test_transformers_reads_back_the_same_tokens_and_logits_from_every_type(folder: Path, warm) -> None:
    for name in RECORD_TYPES:
        write_gguf(folder, folder / f"{name}.gguf", name)
    done = warm("-c", READ_BACK, folder, *(f"{name}.gguf" for name in RECORD_TYPES))
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["same_ids"] for line in found] == [True] * len(RECORD_TYPES)
    over = {line["file"]: line["difference"] for line in found if not line["difference"] <= LARGEST[line["file"].removesuffix(".gguf")]}
    assert over == {}
    sizes = [(folder / f"{name}.gguf").stat().st_size for name in RECORD_TYPES]
    assert sizes == sorted(sizes, reverse=True) or sizes[1] == sizes[2], "smaller types are smaller files"


def test_the_file_says_what_llama_cpp_needs(folder: Path) -> None:
    written = write_gguf(folder, folder / "facts.gguf", "q8_0")
    reader = gguf.GGUFReader(folder / "facts.gguf")
    assert written.bytes == (folder / "facts.gguf").stat().st_size
    assert written.tensors == len(reader.tensors) and written.pre_tokenizer == "gpt-2"
    values = {name: field.contents() for name, field in reader.fields.items()}
    config = json.loads((folder / "config.json").read_text())
    assert values["general.architecture"] == "llama" and values["tokenizer.ggml.model"] == "gpt2"
    assert values["tokenizer.ggml.pre"] == "gpt-2"
    assert values["llama.block_count"] == 2 and values["llama.attention.head_count_kv"] == 2
    assert values["llama.rope.dimension_count"] == 16 and values["llama.context_length"] == 512
    assert (values["tokenizer.ggml.bos_token_id"], values["tokenizer.ggml.eos_token_id"]) == (1, 2)
    assert "<|im_start|>" in values["tokenizer.chat_template"]
    assert len(values["tokenizer.ggml.tokens"]) == config["vocab_size"] == len(values["tokenizer.ggml.token_type"])
    assert values["tokenizer.ggml.token_type"][:3] == [int(gguf.TokenType.CONTROL)] * 3
    kinds = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
    assert kinds["blk.0.attn_q.weight"] == "Q8_0" and kinds["output_norm.weight"] == "F32"


def changed(folder: Path, tmp_path: Path, file: str, **values: object) -> Path:
    other = tmp_path / "other"
    other.mkdir()
    for path in folder.iterdir():
        if path.suffix in (".json", ".safetensors"):
            shutil.copy(path, other)
    content = json.loads((other / file).read_text())
    (other / file).write_text(json.dumps({**content, **values}))
    return other


OTHERS = {
    "another architecture": ("config.json", {"architectures": ["Qwen2ForCausalLM"]}, "only LlamaForCausalLM"),
    "scaled rotary embeddings": ("config.json", {"rope_parameters": {"rope_type": "llama3"}}, "rotary embeddings are scaled"),
    "biases": ("config.json", {"attention_bias": True}, "have biases"),
    "a normaliser": ("tokenizer.json", {"normalizer": {"type": "NFC"}}, "not a byte-level BPE"),
    "a sentencepiece tokenizer": ("tokenizer.json", {"pre_tokenizer": None}, "not a byte-level BPE"),
    "an unknown pre-tokenizer": ("tokenizer.json", {"pre_tokenizer": {"type": "Whitespace"}}, "in a way that llama.cpp has no name for"),
    "fewer rows than tokens": ("config.json", {"vocab_size": 100}, "its model has only 100 rows"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_unsupported_models_are_not_exported(folder: Path, tmp_path: Path, name: str) -> None:
    file, values, what = OTHERS[name]
    other = changed(folder, tmp_path, file, **values)
    with pytest.raises(UserError, match=what):
        write_gguf(other, tmp_path / "x.gguf")
    assert not [path for path in tmp_path.iterdir() if "gguf" in path.name]


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
CUTS = {
    "gpt-2": BYTES,
    "smollm": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTES]},
}


@pytest.mark.parametrize("name", CUTS)
def test_a_tokenizers_way_of_cutting_has_llama_cpps_name(name: str) -> None:
    assert pre_tokenizer_name(Path("x"), {"pre_tokenizer": CUTS[name]}) == name
