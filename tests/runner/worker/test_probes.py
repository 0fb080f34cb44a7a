"""Logit lens, BLiMP and sentiment on tiny models that are real, each in a process of its own as a run starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recipekit.runner.evaluation.blimp import faults
from recipekit.runner.evaluation.probes import PROBES, pending_probes, probe_results, requested_probes
from recipekit.runner.evaluation.sentiment import GROUP_OF
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.stages.evaluate import evaluate_key
from recipekit.runner.worker.sentiment_probe import prompt_emotions
from recipekit.schemas.sections import Recipe

from tests.support.jsonl import write_jsonl

PAIRS = [
    {"sentence_good": "the cat sleeps in the barn", "sentence_bad": "the cat sleep in the barn"},
    {"sentence_good": "the owl sang", "sentence_bad": "the owl sing"},
    {"sentence_good": "every day", "sentence_bad": "every days every days"},
]


def run_python(code: str, *arguments, cwd: Path) -> str:
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONSAFEPATH": "1", "HF_DATASETS_CACHE": str(cwd / "cache")}
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_only_what_the_recipe_asks_for_is_done_and_once(tmp_path, minimal):
    recipe = Recipe.from_values(minimal({"evaluation.logit_lens": ["Once"], "evaluation.blimp": "pairs"}))
    asked = requested_probes(recipe)
    assert asked == {"logit_lens": ("Once",), "blimp": "pairs"}
    run = RunFolder(tmp_path)
    keys = pending_probes(run, asked, "predictions")
    assert set(keys) == {"logit_lens", "blimp"}
    run.write(PROBES["blimp"].file, {"key": keys["blimp"], "base": {"binding": [True, False]}, "tuned": {"binding": [True, True]}})
    assert set(pending_probes(run, asked, "predictions")) == {"logit_lens"}
    assert set(pending_probes(run, asked, "of another model")) == {"logit_lens", "blimp"}
    found = probe_results(run, {"blimp": "pairs"}, recipe.evaluation)["blimp"]
    assert (found["source"], found["pairs"], found["mean"]["differences"]["mean of the files"]["value"]) == ("pairs", {"binding": 2}, 50)
    assert requested_probes(Recipe.from_values(minimal())) == {}


def test_a_probe_is_done_again_when_its_folder_holds_something_else(tmp_path, minimal):
    run, pairs = RunFolder(tmp_path / "run"), tmp_path / "pairs"
    pairs.mkdir()
    (pairs / "a.jsonl").write_text("one\n")
    evaluation = Recipe.from_values(minimal({"evaluation.blimp": str(pairs)})).evaluation
    keys, key = pending_probes(run, {"blimp": str(pairs)}, "predictions"), evaluate_key(evaluation, "validation", "trained", "")
    run.write(PROBES["blimp"].file, {"key": keys["blimp"], "base": {}, "tuned": {}})
    assert pending_probes(run, {"blimp": str(pairs)}, "predictions") == {}
    (pairs / "a.jsonl").write_text("two\n")
    assert set(pending_probes(run, {"blimp": str(pairs)}, "predictions")) == {"blimp"}
    assert evaluate_key(evaluation, "validation", "trained", "") != key


def test_pairs_are_checked_before_a_model_is_loaded(tmp_path):
    assert faults(tmp_path / "nowhere") == [f"{tmp_path / 'nowhere'} is not a folder"]
    assert faults(tmp_path) == [f"{tmp_path} has no .jsonl file"]
    write_jsonl(tmp_path / "good.jsonl", PAIRS)
    assert faults(tmp_path) == []
    write_jsonl(tmp_path / "bad.jsonl", [PAIRS[0], {"sentence_good": "x"}])
    assert faults(tmp_path) == ["bad.jsonl:2 has no sentence_good and sentence_bad"]


def test_a_rows_emotion_is_one_of_the_28_or_none(tmp_path):
    metas = [{"emotion": "Joy"}, {"emotion": ["fear", "joy"]}, {"emotion": []}, {"emotion": "glee"}, {}, {"emotion": None}]
    write_jsonl(tmp_path / "rows.jsonl", [{"id": str(n), "meta": meta} for n, meta in enumerate(metas)])
    assert prompt_emotions(tmp_path / "rows.jsonl") == {"0": "joy", "1": "fear"}


LENS = """
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from recipekit.runner.worker.probes import lens
found = {}
for folder in sys.argv[1:]:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    prompt = "once there was a cat who lived in a barn and every day"
    (shown,) = lens(model, tokenizer, [prompt])
    logits = model(**tokenizer(prompt, return_tensors="pt")).logits[0, -8:].softmax(-1).max(-1)
    tokens = [tokenizer.decode([token]) for token in logits.indices.tolist()]
    found[folder] = [shown, tokens, [round(p, 4) for p in logits.values.tolist()]]
print(json.dumps(found))
"""


FAMILIES = """
import json, torch
from transformers import AutoConfig, AutoModelForCausalLM
from recipekit.runner.worker.probes import lens
size = dict(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, pad_token_id=0)
made = {"gemma2": {"head_dim": 8, "final_logit_softcapping": 0.5}, "granite": {"logits_scaling": 8.0}, "cohere": {"logit_scale": 0.25},
        "mamba": {}, "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32}, "modernbert-decoder": {}, "nanochat": {"head_dim": 8}}
class Tokenizer:
    def __call__(self, text, **options): return {"input_ids": torch.arange(11, 27)[None]}
    def decode(self, ids, **options): return str(ids)
found = {}
for name, changes in made.items():
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(name, **{**size, **changes})).eval()
    model.get_output_embeddings().weight.data *= 20
    (shown,) = lens(model, Tokenizer(), ["x"])
    own = model(**Tokenizer()("x"), output_hidden_states=True)
    scores = {"granite": lambda logits: logits / 8, "cohere": lambda logits: logits / 4, "gemma2": lambda logits: torch.tanh(logits / 0.5) * 0.5}
    if name in scores:
        by_hand = scores[name](model.get_output_embeddings()(model.model.norm(own.hidden_states[1][0, -8:])))
    found[name] = [[cell["p"] for cell in layer] for layer in shown["layers"]], *(
        logits.softmax(-1).max(-1).values.tolist() for logits in (own.logits[0, -8:], by_hand))
print(json.dumps(found))
"""


@pytest.mark.train
def test_the_lens_scales_and_caps_the_logits_of_every_layer_as_the_model_does(warm):
    """Gemma 2 caps them, Granite and Cohere scale them, ModernBERT has a layer before its head."""
    done = warm("-c", FAMILIES)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for name, (layers, own, by_hand) in found.items():
        assert len(layers) == 3 and layers[-1] == pytest.approx(own, abs=2e-4), name
        if name in ("gemma2", "granite", "cohere"):
            assert layers[1] == pytest.approx(by_hand, abs=2e-4), name


@pytest.mark.train
def test_the_last_layer_of_the_lens_is_what_the_model_says(tiny_model, tiny_gpt2, warm):
    """For both kinds of architecture: Llama's `norm` and GPT-2's `ln_f`."""
    done = warm("-c", LENS, tiny_model, tiny_gpt2)
    assert done.returncode == 0, done.stderr
    for shown, tokens, sure in json.loads(done.stdout.splitlines()[-1]).values():
        assert len(shown["layers"]) == 3 and len(shown["tokens"]) == 8  # the embeddings and two layers
        assert [cell["token"] for cell in shown["layers"][-1]] == tokens
        assert [cell["p"] for cell in shown["layers"][-1]] == pytest.approx(sure, abs=2e-4)
        assert shown["layers"][0] != shown["layers"][-1]


BLIMP = """
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from recipekit.runner.worker.probes import right_pairs
model, tokenizer = AutoModelForCausalLM.from_pretrained(sys.argv[1]).eval(), AutoTokenizer.from_pretrained(sys.argv[1])
def likelihood(text):
    ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]])
    with torch.inference_mode():
        logits = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
    return float(logits.gather(1, ids[0, 1:, None]).sum())
rows = [json.loads(line) for line in open(sys.argv[2] + "/agreement.jsonl")]
right = [likelihood(row["sentence_good"]) > likelihood(row["sentence_bad"]) for row in rows]
print(json.dumps([right_pairs(model, tokenizer, sys.argv[2]), right]))
"""


@pytest.mark.train
def test_lm_eval_finds_what_the_likelihoods_say(tiny_gpt2, tmp_path):
    folder = tmp_path / "pairs"
    rows = PAIRS + [{"sentence_good": row["sentence_bad"], "sentence_bad": row["sentence_good"] + " again and again"} for row in PAIRS]
    write_jsonl(folder / "agreement.jsonl", rows)
    write_jsonl(folder / "other.jsonl", rows[:1])
    found, by_hand = json.loads(run_python(BLIMP, tiny_gpt2, folder, cwd=tmp_path).splitlines()[-1])
    assert found == {"agreement": by_hand, "other": by_hand[:1]}
    assert len({*by_hand}) == 2, "both outcomes occur"


SENTIMENT = """
import json, sys
from recipekit.runner.evaluation.sentiment import GROUP_OF
from transformers import AutoTokenizer, GPT2Config, GPT2ForSequenceClassification
import torch
torch.manual_seed(0)
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
tokenizer.pad_token = tokenizer.eos_token
labels = dict(enumerate(sorted(GROUP_OF)))
config = GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=1, n_head=2, n_positions=128, pad_token_id=tokenizer.pad_token_id,
                    id2label=labels, label2id={name: number for number, name in labels.items()})
GPT2ForSequenceClassification(config).save_pretrained("classifier")
tokenizer.model_max_length = 128
tokenizer.save_pretrained("classifier")
from recipekit.runner.worker.sentiment_probe import sentiment
print(json.dumps([sentiment("classifier", None), sentiment("classifier", {"tuned": [["joy", "Fine."], ["fear", None]]})]))
"""


@pytest.mark.train
def test_every_reply_to_a_prompt_with_an_emotion_is_classified(tiny_gpt2, warm, tmp_path):
    rows = [{"id": str(n), "meta": {"emotion": emotion}} for n, emotion in enumerate(["joy", "fear", "joy", "surprise", "glee"])]
    write_jsonl(tmp_path / "evaluating" / "rows.jsonl", rows)
    lines = [{"model": model, "id": row["id"], "reply": f"{model} says {row['id']}"} for model in ("base", "tuned") for row in rows]
    write_jsonl(tmp_path / "evaluating" / "predictions.jsonl", lines)
    done = warm("-c", SENTIMENT, tiny_gpt2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found, of_prompts = json.loads(done.stdout.splitlines()[-1])
    assert found["rows_without_emotion"] == 1
    assert of_prompts["rows_without_emotion"] == 0
    assert [prompt for prompt, _ in of_prompts["tuned"]] == ["joy", "fear"] and of_prompts["tuned"][1][1] is None
    for model in ("base", "tuned"):
        assert [prompt for prompt, _ in found[model]] == ["joy", "fear", "joy", "surprise"]
        assert {reply for _, reply in found[model]} <= GROUP_OF.keys()


def test_the_prompts_of_a_classifier_get_the_form_of_its_training_rows(minimal):
    source = {"path": "posts.csv", "converter": "mbti", "options": {"max_posts": 2}}
    changes = {"data.type": "classification", "data.sources": [source], "evaluation.prompts": {"texts": ["so INFJ|||second|||third"]}}
    assert requested_probes(Recipe.from_values(minimal(changes)))["prompts"]["texts"] == ["1. so [TYPE]\n2. second"]
