"""GGUF files of tiny models, read back by transformers' own loader and by llama.cpp; and what is refused."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
gguf = pytest.importorskip("gguf", reason="needs the extra [train]")

from recipekit.runner.workflows.gguf import QUANTISATIONS, write_gguf
from recipekit.runner.workflows.gguf_architectures import rope_tensors
from recipekit.runner.workflows.gguf_tokenizer import FIRST_NOTE, NFC_NOTE, pre_tokenizer_name
from recipekit.schemas.base.errors import UserError

from ...support.paths import ROOT

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

# A Qwen2 with the biases that the real one has, and a tokenizer that splits and normalises as the real one's does.
QWEN2 = """
import json, sys, torch
from pathlib import Path
from transformers import Qwen2Config, Qwen2ForCausalLM
folder = Path(sys.argv[1])
torch.manual_seed(0)
config = Qwen2Config(vocab_size=512, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True, bos_token_id=0, eos_token_id=2)
model = Qwen2ForCausalLM(config)
for name, weights in model.named_parameters():
    if name.endswith("bias"):
        torch.nn.init.normal_(weights)
model.save_pretrained(folder)
path = folder / "tokenizer.json"
tokenizer = json.loads(path.read_text())
pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
last = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
tokenizer |= {"normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, last]}}
path.write_text(json.dumps(tokenizer))
"""
# What llama.cpp divides rotary frequencies by, and transformers' own scaled frequencies, as ratios.
LLAMA_3 = """
import json, sys
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
config = LlamaConfig(**json.loads(sys.argv[1]))
found, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
dim = config.head_dim
print(json.dumps([float(config.rope_parameters["rope_theta"] ** (-2 * n / dim) / value) for n, value in enumerate(found)]))
"""


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copied = tmp_path_factory.mktemp("gguf") / "model"
    shutil.copytree(tiny_model, copied)
    return copied


def test_transformers_reads_back_the_same_tokens_and_logits_from_every_type(folder: Path, warm) -> None:
    for name in QUANTISATIONS:
        write_gguf(folder, folder / f"{name}.gguf", name)
    done = warm("-c", READ_BACK, folder, *(f"{name}.gguf" for name in QUANTISATIONS))
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["same_ids"] for line in found] == [True] * len(QUANTISATIONS)
    over = {line["file"]: line["difference"] for line in found if not line["difference"] <= LARGEST[line["file"].removesuffix(".gguf")]}
    assert over == {}
    sizes = [(folder / f"{name}.gguf").stat().st_size for name in QUANTISATIONS]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[1] == sizes[2] > sizes[3], "smaller types are smaller files"


def test_a_qwen2_with_its_biases_is_read_back_as_well(folder: Path, tmp_path: Path, warm) -> None:
    other = shutil.copytree(folder, tmp_path / "qwen2", ignore=shutil.ignore_patterns("*.gguf"))
    made = warm("-c", QWEN2, other)
    assert made.returncode == 0, made.stderr
    written = write_gguf(other, other / "f32.gguf", "f32")
    assert (written.pre_tokenizer, written.notes) == ("qwen2", (NFC_NOTE,))
    done = warm("-c", READ_BACK, other, "f32.gguf")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["same_ids"] and found["difference"] <= LARGEST["f32"]
    tensors = {tensor.name for tensor in gguf.GGUFReader(other / "f32.gguf").tensors}
    assert {f"blk.{n}.attn_{part}.bias" for n in range(2) for part in "qkv"} <= tensors


TEXTS = [
    "Where does the cat sleep, number 42?",
    "<|im_start|>user\nHello 🌙  two<|im_end|>\n<|im_start|>assistant\n",
    "It's the owl's été.",
]
SAY = """
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, count, texts = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
model, tokenizer = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(folder)
found = []
for text in texts:
    ids, reply = tokenizer(text, add_special_tokens=False)["input_ids"], []
    with torch.inference_mode():
        while len(reply) < count:
            reply.append(int(model(torch.tensor([ids + reply])).logits[0, -1].argmax()))
    found.append([ids, reply])
print(json.dumps(found))
"""


@pytest.fixture(scope="session")
def llama_cpp() -> Callable[..., object]:
    """What llama.cpp makes of texts with the model of a file; node-llama-cpp is an npm package, like axe-core in support/browser.py."""
    library = Path(os.environ.get("NODE_LLAMA_CPP") or ROOT / "node_modules" / "node-llama-cpp") / "dist" / "index.js"
    if not library.is_file():
        pytest.skip("needs llama.cpp: npm install --no-save node-llama-cpp")

    def say(file: Path, count: int, texts: Sequence[str] = TEXTS) -> object:
        argv = ["node", ROOT / "tests" / "support" / "llama_cpp.mjs", library, file, str(count)]
        done = subprocess.run(argv, input=json.dumps(texts), capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return say


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
def test_llama_cpp_has_the_same_tokens_and_the_same_greedy_replies(folder: Path, tmp_path: Path, warm, llama_cpp, architecture) -> None:
    other = shutil.copytree(folder, tmp_path / "model", ignore=shutil.ignore_patterns("*.gguf"))
    if architecture == "qwen2":
        assert warm("-c", QWEN2, other).returncode == 0
    write_gguf(other, other / "f32.gguf", "f32")
    done = warm("-c", SAY, other, 12, json.dumps(TEXTS))
    assert done.returncode == 0, done.stderr
    assert llama_cpp(other / "f32.gguf", 12) == json.loads(done.stdout)


# Chats as the templates of docs/templates.md write them, with white space where it is easily lost; the last is longer than the windows.
CHATS = {
    "mistral": ["<s>[INST] Where does the cat sleep?[/INST] In the barn 🌙.</s>[INST]  Why,  été?\n\nReally?[/INST]", "<s>[INST] It's 42.[/INST]"],
    "llama2": ["<s>Where does the  cat sleep?\n\n été 🌙</s>", "Hello to you too.", "<s> Hello"],
    "phi3": ["<|system|>\nBe brief.<|end|>\n<|user|>\nWhere  does the cat sleep?\n\n🌙<|end|>\n<|assistant|>\n", "<|user|> Hello<|end|>\n<|assistant|>\n",
             "<|user|>\n" + "Where does the owl sleep, number 7?\n" * 5 + "<|end|>\n<|assistant|>\n"],
    "gemma2": ["<bos><start_of_turn>user\nWhere  does the cat sleep?\n\n🌙<end_of_turn>\n<start_of_turn>model\n", "<bos><start_of_turn>user\n été<end_of_turn>\n",
               "Hello"],
}  # fmt: skip


@pytest.mark.parametrize("name", CHATS)
def test_llama_cpp_reads_the_models_with_sentencepiece_tokenizers_alike(name: str, tmp_path: Path, warm, llama_cpp) -> None:
    made = warm("-m", "tests.support.sentencepiece_models", name, tmp_path / "model")
    assert made.returncode == 0, made.stderr
    written = write_gguf(tmp_path / "model", tmp_path / "f32.gguf", "f32")
    done = warm("-c", SAY, tmp_path / "model", 12, json.dumps(CHATS[name]))
    assert done.returncode == 0, done.stderr
    assert llama_cpp(tmp_path / "f32.gguf", 12, CHATS[name]) == json.loads(done.stdout)
    assert (FIRST_NOTE in written.notes) == (name == "mistral") and any("-c 256" in note for note in written.notes) == (name == "phi3")


def test_the_scaling_of_llama_3_is_written_as_transformers_computes_it(folder: Path, tmp_path: Path, warm) -> None:
    rope = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192}  # fmt: skip
    config = {"hidden_size": 2048, "num_attention_heads": 32, "head_dim": 64, "max_position_embeddings": 131072, "rope_parameters": rope}
    done = warm("-c", LLAMA_3, json.dumps(config))
    assert done.returncode == 0, done.stderr
    (factors,) = rope_tensors({**config, "architectures": ["LlamaForCausalLM"]}).values()
    assert factors.tolist() == pytest.approx(json.loads(done.stdout), rel=1e-5)
    assert factors[0] == 1 and factors[-1] == 32 and len({*factors.tolist()}) > 3, "not scaled, between, and scaled"
    other = changed(folder, tmp_path, "config.json", rope_parameters=rope)
    write_gguf(other, other / "x.gguf", "q4_0")
    (found,) = (tensor for tensor in gguf.GGUFReader(other / "x.gguf").tensors if tensor.name == "rope_freqs.weight")
    assert found.tensor_type.name == "F32" and len(found.data) == 8 and float(found.data[0]) == 1


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
    "another architecture": ("config.json", {"architectures": ["Gemma3ForCausalLM"]}, "its architecture is Gemma3ForCausalLM; only"),
    "rotary embeddings scaled otherwise": ("config.json", {"rope_parameters": {"rope_type": "yarn"}}, "rotary embeddings are scaled"),
    "a sliding window": ("config.json", {"architectures": ["MistralForCausalLM"], "sliding_window": 64}, "has a sliding window"),
    "biases": ("config.json", {"attention_bias": True}, "have biases"),
    "a normaliser": ("tokenizer.json", {"normalizer": {"type": "NFKC"}}, "neither a byte-level BPE"),
    "a sentencepiece tokenizer": ("tokenizer.json", {"pre_tokenizer": None}, "neither a byte-level BPE"),
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


def test_a_byte_level_tokenizer_stays_one_with_byte_fallback(folder: Path, tmp_path: Path) -> None:
    model = json.loads((folder / "tokenizer.json").read_text())["model"] | {"byte_fallback": True}  # as the embedded SmolLM2 has it
    other = changed(folder, tmp_path, "tokenizer.json", model=model)
    assert write_gguf(other, other / "x.gguf").pre_tokenizer == "gpt-2"


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
CUTS = {
    "gpt-2": BYTES,
    "smollm": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTES]},
}


@pytest.mark.parametrize("name", CUTS)
def test_a_tokenizers_way_of_cutting_has_llama_cpps_name(name: str) -> None:
    assert pre_tokenizer_name(Path("x"), {"pre_tokenizer": CUTS[name]}) == name


@pytest.mark.parametrize(("ends", "written"), [([2, 7, 9], [7, 9]), ([2, 7], [7]), ([7], [7]), (2, []), (None, [])], ids=str)
def test_every_token_that_ends_a_reply_is_written(tiny_model, tmp_path, ends, written):
    """The tokenizer's own end is 2; llama.cpp has two more keys, and would generate on beyond an end of turn that is in none."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "generation_config.json").write_text(json.dumps({} if ends is None else {"eos_token_id": ends}))
    write_gguf(folder, tmp_path / "model.gguf", "f16")
    fields = gguf.GGUFReader(tmp_path / "model.gguf").fields
    found = [
        fields[key].contents() if key in fields else None for key in (f"tokenizer.ggml.{kind}_token_id" for kind in ("eos", "eot", "eom"))
    ]
    assert found == [2, *written, *[None] * (2 - len(written))]


@pytest.mark.parametrize(
    ("values", "what"),
    [({"pad_token_id": -1}, "its pad_token_id is -1, which is no token"), ({"num_hidden_layers": None}, "has no num_hidden_layers"),
     ({"intermediate_size": [128, 128]}, "has no intermediate_size, or one for each layer"), ({"hidden_size": "64"}, "hidden_size is no size")],
    ids=str,
)  # fmt: skip
def test_a_configuration_that_the_format_cannot_hold_is_refused(tiny_model, tmp_path, values, what) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "config.json").write_text(json.dumps(json.loads((folder / "config.json").read_text()) | values))
    with pytest.raises(UserError, match=what):
        write_gguf(folder, tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()
