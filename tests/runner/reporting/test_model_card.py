"""The card of a model: what the hub's own library reads from it, and that it claims no more than the run knows."""

import pytest
from recipekit.runner.reporting.model_card import cell, hub_name, licence_of, model_card, write_card
from recipekit.runner.runtime.run_files import LOCK, MANIFEST, METRICS, STATUS
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.schemas.sections import Recipe

from ...support.finished_runs import PROBES
from ...support.run_files import lock_with, manifest_with, metrics_with

for package in ("huggingface_hub", "jinja2", "numpy"):
    pytest.importorskip(package, reason=f"needs the extra [train]: {package}")
ESTIMATE = {"value": 12.5, "low": 11.0, "high": 14.0}
HOSTILE = "x | <script>alert(1)</script>\n---\nlicense: mit\n"


@pytest.fixture
def run(tmp_path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.write(STATUS, {"recipe": "small", "state": "done", "stages": {}})
    folder.write(LOCK, lock_with(packages={"torch": "2"}, model={"path": "some/model", "identity": "", "note": ""}))
    file = {"name": HOSTILE, "sha256": "ab" * 32}
    folder.write(MANIFEST, manifest_with(
        rows_in=1200, rows_kept=1100, dropped={"too_long": 100}, splits={"train": 1000, "validation": 100},
        sources=[{"converter": "messages", "files": [file]}],
    ))  # fmt: skip
    change = ESTIMATE | {"value": -3.0, "p_value": 0.01, "significant": True}
    folder.write(METRICS, {
        **metrics_with(), "rows": 100,
        "metrics": {"perplexity": {"unit": "", "higher_is_better": False}, "repetition": {"unit": "%", "higher_is_better": False}},
        "models": {"base": {"perplexity": ESTIMATE, "repetition": dict.fromkeys(ESTIMATE)}, "tuned": {"perplexity": ESTIMATE, "repetition": dict.fromkeys(ESTIMATE)}},
        "differences": {"perplexity": change, "repetition": dict.fromkeys(change) | {"significant": False}},
    })  # fmt: skip
    return folder


def read(text):
    from huggingface_hub import ModelCard

    return ModelCard(text, ignore_metadata_errors=False)


def test_the_hubs_library_reads_back_what_was_written(run, minimal):
    card = read(
        write_card(run, Recipe.from_values(minimal({"model.base_model": "Qwen/Qwen2.5-1.5B-Instruct"}))).read_text(encoding="utf-8")
    )
    assert (card.data.license, card.data.base_model, card.data.library_name) == ("apache-2.0", "Qwen/Qwen2.5-1.5B-Instruct", "peft")
    assert card.data.pipeline_tag == "text-generation" and card.data.to_dict()["base_model_relation"] == "adapter"
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value) == ("perplexity", 12.5), "what could not be measured is left out"
    assert "validation split of 100 rows" in result.dataset_name


def test_the_card_says_where_the_data_is_from_and_how_the_model_did(run, minimal):
    text = model_card(run, Recipe.from_values(minimal()))
    for part in ("1,200 rows read, 1,100 kept: 1,000 train, 100 validation", "100 dropped: too long", "`" + "ab" * 32 + "`",
                 "| perplexity | 12.50 [11.00, 14.00] | 12.50 [11.00, 14.00] | -3.00, better |", "not measurable", "seed 42"):  # fmt: skip
        assert part in text, part


def test_an_unknown_licence_is_left_out(run, minimal):
    text = model_card(run, Recipe.from_values(minimal()))
    assert read(text).data.license == "other"
    assert "does not know the base model's licence" in text


def test_text_from_data_cannot_become_markup_or_metadata(run, minimal):
    text = model_card(run, Recipe.from_values(minimal({"description": HOSTILE})))
    card = read(text)
    assert card.data.license == "other" and "<script>" not in text
    assert "\nlicense: mit" not in card.text


def test_a_smoke_runs_model_says_so(run, minimal):
    run.update(smoke=True)
    assert "This is the model of a smoke run" in model_card(run, Recipe.from_values(minimal()))


def test_the_card_of_merged_weights_is_of_a_whole_model(run, minimal):
    text = model_card(run, Recipe.from_values(minimal({"model.base_model": "Qwen/Qwen2.5-1.5B-Instruct"})), merged=True)
    assert read(text).data.library_name == "transformers" and read(text).data.to_dict()["base_model_relation"] == "finetune"
    assert "A model with an adapter merged into its weights (lora, rank" in text


def test_a_model_that_was_not_evaluated_says_so(run, minimal):
    (run / "eval" / "metrics.json").unlink()
    text = model_card(run, Recipe.from_values(minimal({"training.adapter": "none"})))
    assert "has not been evaluated" in text and read(text).data.library_name == "transformers"


@pytest.mark.parametrize(
    ("base", "name"),
    [("Qwen/Qwen2.5-1.5B", "Qwen/Qwen2.5-1.5B"), ("embedded:smollm2-135m-instruct", "HuggingFaceTB/SmolLM2-135M-Instruct"),
     ("run:babylm_gpt2", None), ("./folder/model", None), ("/a/b", None), ("~/model", None)],
)  # fmt: skip
def test_only_a_name_of_the_hub_is_given_as_the_base(base, name):
    assert hub_name(base) == name


def test_the_card_of_the_base_model_says_its_licence(tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: gemma\n---\n# A model\n")
    assert licence_of("Qwen/Qwen2.5", str(tmp_path)) == "gemma"
    assert licence_of("meta-llama/Llama-3.2-3B-Instruct", None) == "llama3.2"
    assert licence_of("somebody/something", str(tmp_path / "nowhere")) is None


def test_cells_hold_no_markup():
    assert cell("a|b\n*c* `d` <e>") == "a\\|b \\*c\\* \\`d\\` \\<e\\>"


def test_the_card_has_the_sample_prompts_as_text(run, minimal):
    run.write(METRICS, {**run.read(METRICS), "prompts": PROBES["prompts"]})
    text = model_card(run, Recipe.from_values(minimal()))
    assert "(temperature 0.7, top_p 0.9, seed 7, at most 64 tokens)" in text
    assert "- Say \\<i\\>\n  - base (did not stop): \\<script\\>window.ran = 1\\</script\\>\n  - tuned: Fine 🙂.\n" in text
