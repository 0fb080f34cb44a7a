"""What generates with the saved weights and knows no recipe ends a reply where the training ended it, and draws tokens only as with the base."""

import json

import pytest

from ...support.tiny import write_recipe

pytestmark = pytest.mark.train
SETTINGS = ["model.end_of_turn=<|im_end|>", "training.max_steps=2", "training.eval_steps=2", "training.save_steps=2",
            "evaluation.max_rows=1", "evaluation.metrics=[perplexity]", "evaluation.generation.max_new_tokens=null"]  # fmt: skip


@pytest.fixture
def base(tmp_path, tiny_model):
    """The tiny model as a base model is published: its end is that of a document, not of a turn."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_model), AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.eos_token, tokenizer.pad_token = "<|endoftext|>", "<|im_start|>"
    model.config.eos_token_id = model.generation_config.eos_token_id = 0
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.mark.filterwarnings("ignore")  # saving imports DeepSpeed, whose imports warn
@pytest.mark.parametrize("adapter", ["lora", "none"])
def test_the_saved_weights_are_used_as_those_of_the_base_and_stop_at_the_end_of_a_turn(tmp_path, base, recipe, adapter):
    more = (
        ["export.merge=true"] if adapter == "lora" else ["training.lora_r=null", "training.lora_alpha=null", "training.lora_dropout=null"]
    )
    settings = [part for setting in (*SETTINGS, f"training.adapter={adapter}", *more) for part in ("--set", setting)]
    done = recipe("run", write_recipe(tmp_path, base), *settings, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / json.loads(done.stdout)["run"] / ("merged" if adapter == "lora" else "model")
    config, generation = (json.loads((folder / f"{name}.json").read_text()) for name in ("config", "generation_config"))
    assert generation["eos_token_id"] == [0, 2]
    assert not generation.get("do_sample") and config["use_cache"] is True and config["max_position_embeddings"] == 512
