"""Every user of the loader gets the same model, whatever a recipe asks for."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ...support.run_files import manifest_with

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.inference.chat_settings import settings_of
from recipekit.runner.inference.chat_start import open_session
from recipekit.runner.models.reference import resolve_target
from recipekit.runner.worker.evaluate import models
from recipekit.runner.worker.generation import Reply, generate
from recipekit.runner.worker.loading import LoadedModel, load, reference_of
from recipekit.runner.worker.merge import load_tuned
from recipekit.schemas.base.errors import UserError

from ...support.model_variants import LABELS, PROMPT, REVISION, VARIANTS, Variant, base_name
from ...support.paths import ROOT
from ...support.tiny import CLASSIFICATION, RECIPE, write_run


@pytest.fixture(scope="module")
def variants(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which model_variants.py has written every variant."""
    out = tmp_path_factory.mktemp("variants")
    script = ROOT / "tests" / "support" / "model_variants.py"
    env = {**os.environ, "HF_HUB_CACHE": str(out / "cache"), "HF_MODULES_CACHE": str(out / "modules"), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, script, tiny_model, out], check=True, env=env, capture_output=True)
    return out


@pytest.fixture
def hub(variants: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is what the cache holds."""
    import huggingface_hub.constants
    import transformers.dynamic_module_utils

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(variants / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(variants / "modules"))


def revision_of(variant: Variant) -> str | None:
    """The revision that a recipe of the variant names: that of the hub's model, or of the code in a folder, which may come from the hub."""
    return REVISION if variant.base == "hub" or variant.remote_code else None


def run_of(variant: Variant, variants: Path, folder: Path) -> Path:
    """A run's directory in which the variant was trained."""
    base = base_name(variant, variants)
    revision = revision_of(variant)
    settings = f", revision: {revision}" * bool(revision) + ", trust_remote_code: true" * variant.remote_code
    template = CLASSIFICATION if variant.head == "classification" else RECIPE
    recipe = template.replace("[ENFP, ESFJ, INTJ, ISTP]", str(LABELS)).format(model=base + settings)
    if variant.adapter == "none":
        lines = [line for line in recipe.splitlines() if not line.startswith("  lora_")]
        recipe = "\n".join(lines).replace("adapter: lora", "adapter: none") + "\n"
    run = write_run(folder / "tiny" / "20260101-000000-aaaaaa", recipe, variants / variant.name, Path(base))
    (run / "data").mkdir()
    (run / "data" / "manifest.json").write_text(
        json.dumps(manifest_with(labels=LABELS) if variant.head == "classification" else manifest_with())
    )
    return run


def config_of(variant: Variant, variants: Path) -> SimpleNamespace:
    """What the worker reads of the run's rendered configuration."""
    classifies = variant.head == "classification"
    return SimpleNamespace(
        base_model=base_name(variant, variants), revision_of_model=revision_of(variant), trust_remote_code=variant.remote_code,
        adapter=None if variant.adapter == "none" else "lora", record_type="classification" if classifies else None,
        labels=LABELS if classifies else None, attn_implementation="sdpa", eot_tokens=None,
        load_in_4bit=None, load_in_8bit=None,
    )  # fmt: skip


def users(variant: Variant, cfg: SimpleNamespace, run: Path) -> dict[str, LoadedModel]:
    """The tuned model as evaluation and probes, merge, chat, and serve load it."""
    target = resolve_target(str(run), run.parent.parent)
    session = open_session(target, settings_of(target, {"system": None}), False, True, False)
    if variant.head == "classification":
        chat, evaluation, serve = session.loaded, load(reference_of(cfg), "classification"), load(target, "classification")
    else:
        chat, evaluation, serve = session.models[-1].served, list(models(cfg, 0))[-1], load(target, chats=True).merged()
        session.stop()
    found = {"evaluation": evaluation, "chat": chat, "serve": serve}
    if variant.adapter == "none":
        return found
    merged = load_tuned(cfg).merged()
    merged.model.save_pretrained(run / "merged")
    merged.tokenizer.save_pretrained(run / "merged")
    whole = resolve_target(str(run / "merged"), run)._replace(trust_remote_code=variant.remote_code)
    return found | {"merge": load_tuned(cfg), "merged": merged, "merged folder": load(whole, variant.head)}


@pytest.mark.filterwarnings("ignore")  # saving imports DeepSpeed, whose imports warn; peft warns of tied embeddings that are merged apart
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_every_user_of_the_loader_has_the_trained_models_logits(variant, variants, hub, tmp_path, monkeypatch):
    run = run_of(variant, variants, tmp_path)
    monkeypatch.chdir(run)
    expected = torch.tensor(json.loads((variants / variant.name / "expected.json").read_text()))
    for user, loaded in users(variant, config_of(variant, variants), run).items():
        with torch.inference_mode():
            logits = loaded.model(**loaded.tokenizer(PROMPT, return_tensors="pt")).logits[0]
        found = logits if variant.head == "classification" else logits[-1]
        assert found.shape == expected.shape, user
        assert torch.allclose(found, expected, atol=1e-4), f"{user}: {(found - expected).abs().max()}"
        assert loaded.labels == (tuple(LABELS) if variant.head == "classification" else ())


def causal(**changes) -> Variant:
    return Variant("lora", True, False, "folder", "float32", "causal")._replace(**changes)


def test_added_tokens_do_not_change_the_base_models_replies(variants, hub, tmp_path, monkeypatch):
    run = run_of(causal(), variants, tmp_path)
    monkeypatch.chdir(run)
    first, second = (next(models(config_of(causal(), variants), 0)).model.get_input_embeddings().weight for _ in range(2))
    assert torch.equal(first, second)


def test_remote_code_is_not_run_unless_the_recipe_trusts_it(variants, hub, tmp_path, monkeypatch):
    monkeypatch.chdir(run_of(causal(remote_code=True), variants, tmp_path))
    cfg = config_of(causal(remote_code=True), variants)
    cfg.trust_remote_code = False
    with pytest.raises(UserError, match="cannot be loaded"):
        list(models(cfg, 0))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_reply_does_not_depend_on_its_batch_or_on_the_cache(variants, hub, tmp_path, monkeypatch, temperature):
    monkeypatch.chdir(run_of(causal(), variants, tmp_path))
    *_, tuned = models(config_of(causal(), variants), 0)
    prompts = [tuned.tokenizer(text)["input_ids"] for text in ("Hello", PROMPT, "The owl")]

    def replies(batch: list[list[int]]) -> list[list[int]]:
        found = [Reply(prompt, 12, temperature, seed=len(prompt)) for prompt in batch]
        generate(tuned, found)
        return [reply.token_ids for reply in found]

    alone = [replies([prompt])[0] for prompt in prompts]
    assert replies(prompts) == alone
    monkeypatch.setattr(type(tuned.model.get_base_model()), "_supports_default_dynamic_cache", classmethod(lambda cls: False))
    assert replies(prompts) == alone


def test_a_base_model_in_4_bits_is_the_same_for_base_and_tuned_and_is_not_merged(variants, hub, tmp_path, monkeypatch):
    """As on a GPU on which a QLoRA fits and 16 bits do not."""
    monkeypatch.chdir(run_of(causal(), variants, tmp_path))
    base, tuned = models(config_of(causal(), variants), 4)
    layers = [type(module).__name__ for module in base.model.modules()]
    assert "Linear4bit" in layers and tuned.model.get_base_model().is_loaded_in_4bit
    assert tuned.merged() is tuned, "merging would round the adapter to 4 bits"
    ids = base.tokenizer(PROMPT, return_tensors="pt")
    with torch.inference_mode(), tuned.model.disable_adapter():
        without_adapter = tuned.model(**ids).logits
    whole = load(reference_of(config_of(causal(), variants))._replace(adapter=""), bits=0)
    with torch.inference_mode():
        difference = (whole.model(**ids).logits - without_adapter).abs().max() / without_adapter.abs().max()
    assert 1e-4 < difference < 0.5, "quantised, and still the same model"


@pytest.mark.filterwarnings("ignore")  # saving imports DeepSpeed, whose imports warn; peft warns of tied embeddings that are merged apart
@pytest.mark.parametrize("adapted", [["lm_head"], ["embed_tokens"], ["embed_tokens", "lm_head"]], ids="-".join)
def test_an_adapter_of_one_of_two_tied_layers_is_not_merged_into_both(tiny_model, tmp_path, adapted):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(1)
    tokenizer, base = AutoTokenizer.from_pretrained(tiny_model), AutoModelForCausalLM.from_pretrained(tiny_model)
    assert base.config.tie_word_embeddings
    config = LoraConfig(r=4, lora_alpha=32, target_modules=adapted, init_lora_weights=False, task_type="CAUSAL_LM")
    tuned = LoadedModel("tuned", get_peft_model(base, config).eval(), tokenizer, frozenset(), 0, 512, "cpu")
    ids = tokenizer(PROMPT, return_tensors="pt")
    with torch.inference_mode():
        expected = tuned.model(**ids).logits
        merged = tuned.merged().model
        merged.save_pretrained(tmp_path / "merged")
        for model in (merged, AutoModelForCausalLM.from_pretrained(tmp_path / "merged")):
            assert torch.allclose(model(**ids).logits, expected, atol=1e-4), (model(**ids).logits - expected).abs().max()


@pytest.mark.filterwarnings("ignore")
def test_an_adapter_whose_weights_belong_to_no_layer_is_refused(tuned_run, tmp_path):
    """peft warns, and goes on with the weights that a new adapter has: it answers like the base."""
    from safetensors.torch import load_file, save_file

    adapter = tmp_path / "adapter"
    shutil.copytree(tuned_run / "model", adapter)
    weights = load_file(adapter / "adapter_model.safetensors")
    renamed = {name.replace("model.model.layers", "model.model.language_model.layers"): tensor for name, tensor in weights.items()}
    save_file(renamed, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="lacks weights of its own layers, so it was trained on another model"):
        load(resolve_target(str(adapter), tmp_path), device="cpu")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "values",
    [{"r": "x"}, {"r": 3}, {"target_modules": 3}, {"target_modules": "(("}, {"target_modules": []}, {"exclude_modules": 3}, {"rank_pattern": "x"}, {"peft_type": "EVIL"},
     {"peft_type": ["LORA"]}, {"task_type": "EVIL"}, {"lora_alpha": None}, {"alpha_pattern": None}, {"lora_dropout": 7}, {"peft_type": "VERA"}],
    ids=str,
)  # fmt: skip
def test_an_adapter_that_peft_cannot_load_is_one_line(tuned_run, tmp_path, values):
    adapter = shutil.copytree(tuned_run / "model", tmp_path / "adapter")
    settings = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(settings | values))
    with pytest.raises(UserError, match=r"adapter(/adapter_config\.json)?: (cannot be loaded on|has a pattern that is none)"):
        load(resolve_target(str(adapter), tmp_path), device="cpu")


@pytest.mark.parametrize(
    "values",
    [{"hidden_size": 128}, {"vocab_size": 4_000_000}, {"rope_parameters": {"rope_type": "evil"}}, {"hidden_act": "evil"}, {"pad_token_id": 10**9},
     {"quantization_config": {"quant_method": ["a"]}}, {"base_model_tp_plan": 3}, {"model_type": "evil"}],
    ids=str,
)  # fmt: skip
def test_a_configuration_that_transformers_cannot_load_is_one_line(tiny_model, tmp_path, values):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "config.json").write_text(json.dumps(json.loads((folder / "config.json").read_text()) | values))
    with pytest.raises(UserError, match="cannot be loaded: "):
        load(resolve_target(str(folder), tmp_path), device="cpu")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("shape", [(10**9, 0), ()], ids=str)
def test_embeddings_of_an_adapter_that_are_none_take_no_memory(tuned_run, tmp_path, shape):
    from safetensors.torch import load_file, save_file

    adapter = shutil.copytree(tuned_run / "model", tmp_path / "adapter")
    weights = load_file(adapter / "adapter_model.safetensors") | {"base_model.model.model.embed_tokens.weight": torch.zeros(shape)}
    save_file(weights, adapter / "adapter_model.safetensors", metadata={"format": "pt"})
    with contextlib.suppress(UserError):  # peft may refuse them, or leave them out
        assert load(resolve_target(str(adapter), tmp_path), device="cpu").model.get_input_embeddings().num_embeddings < 1000


DAMAGED = {
    "empty": {},
    "a list of merges that are none": {"merges": ["zz yy"]},
    "words without numbers": {"vocab": {"a": "b"}},
    "an unknown model": {"type": "Evil"},
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_tokenizer_is_one_line(tiny_model, tmp_path, name) -> None:
    """Whatever the library raises: an error of any type, or a panic."""
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    values = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(values | {"model": values["model"] | DAMAGED[name]} if DAMAGED[name] else {}))
    with pytest.raises(UserError, match="cannot be loaded: the tokenizer is damaged: "):
        load(resolve_target(str(folder), tmp_path))


def test_code_that_a_folder_offers_is_not_run(tiny_model, tmp_path) -> None:
    """Whatever names it: each configuration, a `generate` of its own, modules of sentence-transformers, a requirements file."""
    folder, ran = shutil.copytree(tiny_model, tmp_path / "model"), tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w')\nclass Evil: pass\ndef generate(*a, **k): pass\n"
    (folder / "custom_generate").mkdir()
    for name in ("evil.py", "modeling_llama.py", "conftest.py", "sitecustomize.py", "custom_generate/generate.py"):
        (folder / name).write_text(code)
    (folder / "custom_generate" / "requirements.txt").write_text("torch\n")
    (folder / "modules.json").write_text('[{"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}]')
    classes = ("AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoTokenizer", "AutoProcessor", "AutoImageProcessor")
    for name in ("config.json", "tokenizer_config.json", "generation_config.json", "processor_config.json", "preprocessor_config.json"):
        path = folder / name
        values = json.loads(path.read_text()) if path.is_file() else {}
        named = {one: ["evil.Evil", "evil.Evil"] if one == "AutoTokenizer" else "evil.Evil" for one in classes}
        path.write_text(json.dumps(values | {"auto_map": named, "custom_generate": "evil", "processor_class": "Evil"}))
    loaded = load(resolve_target(str(folder), tmp_path))
    assert loaded.prompt_ids([{"role": "user", "content": "hi"}])
    assert not ran.exists()


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")  # of torch's own modules, where this test imports them first
def test_a_model_without_sdpa_is_loaded_with_its_own_attention(tiny_model, tmp_path):
    """As gpt-oss, whose sinks sdpa does not compute, and Mamba, which has no attention: nobody named one to chat with it."""
    import transformers

    config = transformers.GptOssConfig(vocab_size=512, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
                                       num_key_value_heads=2, head_dim=8, num_local_experts=2, num_experts_per_tok=1, pad_token_id=0)  # fmt: skip
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_model)
    config.vocab_size = len(tokenizer)
    transformers.GptOssForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = load(resolve_target(str(tmp_path), tmp_path), device="cpu")
    assert loaded.model.config._attn_implementation == "eager"
    assert loaded.model(input_ids=torch.tensor([[1, 2, 3]])).logits.isfinite().all()
