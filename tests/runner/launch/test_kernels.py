"""Which kernels a recipe uses on a GPU, for cards and packages that are only described."""

import pytest
from recipekit.runner.launch.kernel_choice import choose
from recipekit.runner.launch.kernels import kernels, missing_kernels
from recipekit.runner.models.architecture import Architecture
from recipekit.runner.runtime.machine import Machine, this_machine
from recipekit.schemas.sections import Recipe

H100 = Machine("cuda", 1, "an H100", 80 << 30, True)
T4 = Machine("cuda", 1, "a T4", 16 << 30, False)
BNB = {"bitsandbytes": "0.50.2"}
LLAMA = Architecture("llama", 64, False)
PLAIN = {"training.lora_dropout": 0}


@pytest.fixture
def used(minimal):
    def build(changes=None, machine=H100, installed=BNB, capability=9.0, model=LLAMA):
        return {kernel.part: kernel for kernel in kernels(Recipe.from_values(minimal(changes)), machine, installed, capability, model)}

    return build


def test_a_cpu_has_no_kernels(used):
    assert used(machine=Machine()) == {}


def test_an_adapter_on_a_card_with_bf16(used):
    found = used({"training.adapter": "qlora"})
    assert found["numbers"].used == "bf16" and found["attention"].used.startswith("sdpa")
    assert found["loss"].used.startswith("head and cross entropy fused")
    assert [kernel for kernel in found.values() if kernel.problem] == []


def test_a_card_without_bf16_says_why_it_computes_in_fp16(used):
    found = used({"training.adapter": "qlora"}, T4, capability=7.5)["numbers"]
    assert found.used == "fp16" and "compute capability 8.0, which a T4 lacks" in found.why


def test_full_training_keeps_fp32_weights(used):
    assert used({"training.adapter": "none"})["numbers"].used == "fp32 weights, bf16 under autocast"


@pytest.mark.parametrize(
    ("changes", "installed", "capability", "part", "why"),
    [
        ({"training.adapter": "qlora"}, {}, 9.0, "quantised weights", "bitsandbytes is not installed"),
        ({"training.optimizer": "paged_adamw_8bit"}, {}, 9.0, "optimizer", "bitsandbytes is not installed"),
        ({"model.attn_implementation": "flash_attention_2"}, BNB, 9.0, "attention", "needs flash-attn, which is not installed"),
        ({"model.attn_implementation": "flash_attention_2"}, BNB | {"flash-attn": "2"}, 7.5, "attention", "needs compute capability 8.0"),
    ],
)
def test_a_kernel_that_cannot_run_is_a_problem(used, changes, installed, capability, part, why):
    found = used(changes, installed=installed, capability=capability)[part]
    assert found.problem and why in found.why


def test_a_missing_kernel_is_refused_at_the_key_that_asks_for_it(minimal, nvidia_smi):
    nvidia_smi("#!/bin/sh\necho 'GPU-1f, NVIDIA A100, 40960, 580.1, 8.0'\n")
    recipe = Recipe.from_values(minimal({"model.attn_implementation": "flash_attention_4"}))
    [(key, what)] = missing_kernels(recipe, this_machine())
    assert key == ("model", "attn_implementation") and what.startswith("flash_attention_4 needs ")
    assert [*missing_kernels(recipe, Machine())] == [], "a CPU has no choice"


@pytest.mark.parametrize(
    ("order", "changes", "lacks"),
    [("A100 T4", {}, True), ("T4 A100", {}, False), ("A100 H100", {}, False), ("A100 T4", {"training.precision": "fp16"}, False),
     ("A100 T4", {"launch": {}}, False)],
)  # fmt: skip
def test_processes_on_gpus_with_and_without_bf16_are_refused(minimal, nvidia_smi, order, changes, lacks):
    """The type is chosen for the first: torch would emulate bf16 on the other, without a message, and the first would wait for it."""
    of = {"A100": "40960, 580.1, 8.0", "H100": "81920, 580.1, 9.0", "T4": "15360, 580.1, 7.5"}
    nvidia_smi("#!/bin/sh\n" + "".join(f"echo 'GPU-{name}, {name}, {of[name]}'\n" for name in order.split()))
    recipe = Recipe.from_values(minimal({"launch": {"engine": "torchrun", "num_processes": 2}} | changes))
    found = [*missing_kernels(recipe, this_machine())]
    assert [key for key, _ in found] == ([("launch", "num_processes")] if lacks else [])
    assert all("T4 has not" in what for _, what in found)


@pytest.fixture
def toolkit(tmp_path, monkeypatch):
    """Everything with which DeepSpeed compiles its Adam for main memory."""
    tools = tmp_path / "cuda" / "bin"
    tools.mkdir(parents=True)
    for name in ("nvcc", "c++", "ninja"):
        (tools / name).touch(0o755)
    for name in ("CUDA_HOME", "CUDA_PATH", "CXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tools))
    return tools


@pytest.mark.parametrize(("tool", "lacks"), [("nvcc", "nvcc of the CUDA toolkit"), ("c++", "a C++ compiler"), ("ninja", "ninja"), ("", "")])
def test_an_optimizer_in_main_memory_is_refused_where_deepspeed_cannot_compile_it(minimal, toolkit, monkeypatch, tool, lacks):
    if tool:
        (toolkit / tool).unlink()
    monkeypatch.setenv("CUDA_HOME", str(toolkit.parent))  # and not what may be in /usr/local/cuda
    launch = {"engine": "deepspeed", "zero_stage": 2, "offload_optimizer": True}
    recipe = Recipe.from_values(minimal({"launch": launch, "training.adapter": "none"}))
    found = [*missing_kernels(recipe, H100)]
    assert [key for key, _ in found] == ([("launch", "offload_optimizer")] if lacks else [])
    assert lacks in "".join(what for _, what in found)
    assert [*missing_kernels(recipe, Machine())] == [], "on a CPU DeepSpeed is refused altogether"


@pytest.mark.parametrize(
    ("attention", "package", "least"), [("flash_attention_3", "flash-attn-3", 8.0), ("flash_attention_4", "flash-attn-4", 9.0)]
)
def test_each_flash_attention_has_its_package_and_its_cards(used, attention, package, least):
    asked = {"model.attn_implementation": attention}
    assert package in used(asked)["attention"].why and used(asked)["attention"].problem
    assert used(asked, installed=BNB | {package: "1"}, capability=least - 0.1)["attention"].problem
    for model in (LLAMA, LLAMA._replace(head=100)):  # these packages pad heads of any width
        found = used(asked, installed=BNB | {package: "1"}, capability=least, model=model)
        assert not found["attention"].problem and found["batches"].used == "rows without padding"


def test_a_named_machine_is_not_checked_for_packages(used):
    asked = {"training.adapter": "qlora", "training.optimizer": "paged_adamw_8bit", "model.attn_implementation": "flash_attention_4"}
    assert [kernel for kernel in used(asked, installed=None, capability=0).values() if kernel.problem] == []


def test_rows_without_padding_are_kept_apart_by_torchs_varlen_kernel(used):
    found = used()
    assert found["attention"].used == "sdpa, torch's varlen kernel" and found["batches"].used == "rows without padding"
    assert used({"training.adapter": "none"})["batches"].used == "rows without padding", "fp32 weights under autocast: worker/varlen.py"
    for launch in ({"engine": "torchrun", "fsdp": True}, {"engine": "deepspeed", "zero_stage": 3}):
        assert used({"training.adapter": "none", "launch": launch})["batches"].used == "rows without padding"
    packed = used({"training.sample_packing": True})
    assert packed["attention"].used == "sdpa, torch's varlen kernel" and packed["batches"].used == "rows packed into blocks"


@pytest.mark.parametrize(
    ("changes", "machine", "model", "why"),
    [
        ({"training.adapter": "none", "training.precision": "fp32"}, H100, LLAMA, "fp32 queries"),
        ({"training.precision": "fp32"}, H100, LLAMA, "torch's kernel does not support fp32 queries"),
        ({"model.attn_implementation": "eager"}, H100, LLAMA, "eager does not read where rows end"),
        ({"axolotl": {"sdpa_varlen": False}}, H100, LLAMA, "axolotl.sdpa_varlen: false"),
        ({}, H100, LLAMA._replace(head=512), "heads of up to 256"),
        ({}, H100, LLAMA._replace(head=100), "a multiple of 8, this model has 100"),  # OpenLLaMA 3B
        ({}, H100, Architecture("phi3", 96, False, sliding=True), "sliding window"),
        ({}, H100, LLAMA._replace(dropout=True), "attention dropout"),
        ({}, H100, Architecture("gpt2", 64, True), "model_type gpt2"),
        ({}, T4, LLAMA, "compute capability 8.0"),
        ({"training.kernels": "off"}, H100, LLAMA, "training.kernels: off"),
        ({"model.trust_remote_code": True}, H100, LLAMA, "trust_remote_code"),
    ],
)
def test_rows_are_padded_with_a_reason_where_attention_cannot_tell_them_apart(used, changes, machine, model, why):
    found = used(changes, machine, model=model)
    assert found["batches"].used == "rows padded to the longest" and why in found["batches"].why
    if found["attention"].used == "sdpa":
        assert "mask" in found["attention"].why and why in found["attention"].why


def test_classification_is_padded_without_a_note(used, minimal):
    recipe = {"data.type": "classification", "evaluation.metrics": ["accuracy"]}
    assert "batches" not in used(recipe) and not choose(Recipe.from_values(minimal(recipe)), H100, LLAMA).varlen


def test_a_gpu_uses_ligers_layers_and_the_lora_kernels(used):
    found = used(PLAIN)
    assert found["norms, rotary positions, MLP"].used == "Liger's kernels"
    assert found["LoRA"].used == "lora_qkv_kernel, lora_o_kernel, lora_mlp_kernel"


@pytest.mark.parametrize(
    ("changes", "machine", "model", "why"),
    [
        ({"training.lora_dropout": 0.05}, H100, LLAMA, "differ from PEFT"),
        ({"training.load_in_8bit": True}, H100, LLAMA, "8-bit"),
        ({"model.trust_remote_code": True}, H100, LLAMA, "trust_remote_code"),
        ({"data.type": "classification"}, H100, LLAMA, "language models only"),
        ({"launch": {"engine": "deepspeed", "zero_stage": 3}}, H100, LLAMA, "sharded"),
        ({"launch": {"engine": "torchrun", "fsdp": True}}, H100, LLAMA, "sharded"),
        ({"axolotl": {"peft_use_dora": True}}, H100, LLAMA, "axolotl.peft_use_dora"),
        ({"training.lora_target_modules": ["q_proj", "v_proj"]}, H100, LLAMA, "has no complete group of layers"),
        ({}, H100, Architecture("gemma2", 256, False), "model_type gemma2"),
        ({}, H100, LLAMA._replace(differs="mlp_bias: true"), "not tested with mlp_bias: true"),
        ({}, H100, None, "configuration is not on this machine"),
        ({}, H100._replace(has_compiler=False), LLAMA, "needs a C compiler and Python.h"),
        ({}, T4, LLAMA, "compute capability 8.0"),
        ({"training.precision": "fp16"}, H100, LLAMA, "fp16"),
        ({"training.kernels": "off"}, H100, LLAMA, "training.kernels: off"),
    ],
)
def test_lora_kernels_are_off_with_a_reason_where_they_do_not_apply(used, changes, machine, model, why):
    found = used(PLAIN | changes, machine, model=model)["LoRA"]
    assert found.used == "PEFT's layers" and why in found.why


@pytest.mark.parametrize(
    ("machine", "model", "why"),
    [
        (H100._replace(has_liger=False), LLAMA, "liger-kernel is not installed"),
        (H100._replace(has_compiler=False), LLAMA, "needs a C compiler and Python.h"),
        (H100, Architecture("gpt2", 64, True), "model_type gpt2"),
        (H100, LLAMA._replace(differs="partial_rotary_factor: 0.75"), "another model: partial_rotary_factor: 0.75"),
        (H100, None, "configuration is not on this machine"),
        (T4, LLAMA, "compute capability 8.0"),
    ],
)
def test_ligers_layers_are_off_with_a_reason_where_they_do_not_apply(used, machine, model, why):
    found = used(machine=machine, model=model)["norms, rotary positions, MLP"]
    assert found.used == "transformers' layers" and why in found.why


def rendered(minimal, changes, model=LLAMA):
    recipe = Recipe.from_values(minimal(PLAIN | changes))
    return choose(recipe, H100, model).keys(recipe)


def test_a_models_own_code_keeps_all_its_layers(minimal):
    """Phi-3's repositories have code of their own for a model_type that transformers has too."""
    choice = choose(Recipe.from_values(minimal(PLAIN | {"model.trust_remote_code": True})), H100, LLAMA)
    assert not (choice.liger or choice.lora or choice.varlen)


def test_document_boundaries_are_rendered(minimal):
    assert {"sdpa_varlen": True, "flatten_batches": True}.items() <= rendered(minimal, {}).items()
    packed = rendered(minimal, {"training.sample_packing": True})
    assert packed["sdpa_varlen"] and "flatten_batches" not in packed
    flash = rendered(minimal, {"model.attn_implementation": "flash_attention_2", "training.adapter": "none"})
    assert flash["flatten_batches"] and "sdpa_varlen" not in flash


def test_ligers_losses_are_off_because_ours_is_used(minimal):
    keys = rendered(minimal, {})
    assert keys["liger_cross_entropy"] is False and keys["liger_fused_linear_cross_entropy"] is False


def test_the_mlp_has_one_kernel(minimal):
    assert rendered(minimal, {})["liger_glu_activation"] is False
    assert rendered(minimal, {"training.lora_target_modules": ["q_proj", "k_proj", "v_proj"]})["liger_glu_activation"] is True


def test_lora_kernels_that_are_off_are_rendered_as_off(minimal):
    off = dict.fromkeys(("lora_qkv_kernel", "lora_o_kernel", "lora_mlp_kernel"), False)
    assert rendered(minimal, {"training.kernels": "off"}) == off
    assert rendered(minimal, {"training.kernels": "off", "training.adapter": "none"}) == {}


def test_lora_kernels_that_a_person_asks_for_with_dropout_are_another_training(used):
    asked = {"axolotl": {"lora_qkv_kernel": True}}
    assert "differ from PEFT" in used(asked | {"training.lora_dropout": 0.05})["LoRA"].why
    assert used(asked | PLAIN)["LoRA"].why == "set in axolotl"


def test_a_head_whose_logits_are_changed_is_not_fused(used):
    assert used(model=Architecture("gemma2", 256, False, changes_logits=True))["loss"].used == "logits of the trained tokens"


def test_a_sharded_head_is_not_fused(used):
    assert used({"launch": {"engine": "deepspeed", "zero_stage": 3}})["loss"].used == "logits of the trained tokens"
