"""Did you mean: the names that other tools use, and misspelt ones of our own."""

import pytest
from recipekit.schemas.aliases import ALIASES, suggestion
from recipekit.schemas.json_schema import key_paths

from ..support.counting import within_lines

PATHS = list(key_paths())


def here(section: str) -> list[str]:
    return [path.rpartition(".")[2] for path in PATHS if path.rpartition(".")[0] == section]


def test_every_alias_leads_to_a_key_of_the_schema() -> None:
    assert {target for target in ALIASES.values() if target not in PATHS} == set()


def test_no_alias_is_a_key_of_the_section_that_it_leads_to() -> None:
    assert [name for name, target in ALIASES.items() if name in here(target.rpartition(".")[0])] == []


SUGGESTIONS = {
    ("max_new_tokens", "evaluation"): "did you mean 'evaluation.generation.max_new_tokens'?",
    ("lr", "training"): "did you mean 'learning_rate'?",
    ("cutoff_len", "training"): "did you mean 'sequence_len'?",
    ("max_seq_length", "training"): "did you mean 'sequence_len'?",
    ("per_device_train_batch_size", "training"): "did you mean 'micro_batch_size'?",
    ("lora_rank", "training"): "did you mean 'lora_r'?",
    ("num_train_epochs", "training"): "did you mean 'num_epochs'?",
    ("finetuning_type", "training"): "did you mean 'adapter'?",
    ("load_in_4bit", "training"): "did you mean 'adapter'?",
    ("run_name", "training"): "did you mean 'tracker_run_name'?",
    ("train_all_linear_layers", "training"): "did you mean 'lora_target_modules'?",
    ("packing", "training"): "did you mean 'sample_packing'?",
    ("optim", "training"): "did you mean 'optimizer'?",
    ("model_name_or_path", "model"): "did you mean 'base_model'?",
    ("model_name_or_path", ""): "did you mean 'model.base_model'?",
    ("val_set_size", "data"): "did you mean 'data.split.validation'?",
    ("datasets", ""): "did you mean 'data.sources'?",
    ("Learning-Rate", "training"): "did you mean 'learning_rate'?",
    ("learning_rat", "training"): "did you mean 'learning_rate'?",
    ("aplha", ""): "did you mean 'training.lora_alpha'?",
    ("learning_rate", "model"): "it belongs in another section: 'training.learning_rate'",
    ("bf16", "training"): "did you mean 'precision'?",
    ("deepspeed", ""): "did you mean 'launch.zero_stage'?",
    ("qqqqqq", "export"): "valid keys: merge, push_to_hub",
    ("qqqqqq", "training"): "",
    ("l" * 100_000, "training"): "",
    ("", "training"): "",
    ("😀", "export"): "valid keys: merge, push_to_hub",
}  # fmt: skip


@pytest.mark.parametrize(("key", "section"), SUGGESTIONS, ids=lambda value: value[:30])
def test_an_unknown_key_gets_a_suggestion(key: str, section: str) -> None:
    assert suggestion(key, section, here(section), PATHS) == SUGGESTIONS[key, section]


def test_a_suggestion_is_cheap() -> None:
    within_lines(50_000, suggestion, "unknown_gradient_warm", "training", here("training"), PATHS)


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("txt_key", "did you mean 'text_key'?"),
        ("assistent_key", "did you mean 'assistant_key'?"),
        ("answer_key", "valid keys: text_key, label_key, user_key, assistant_key, keep_rows"),
        ("question_key", "valid keys: text_key, label_key, user_key, assistant_key, keep_rows"),
    ],
)
def test_an_option_is_not_suggested_for_the_ending_that_most_have(option: str, hint: str) -> None:
    options = ["text_key", "label_key", "user_key", "assistant_key", "keep_rows"]
    assert suggestion(option, "data.sources.0.options", options, PATHS) == hint
