"""A LLaMA-Factory configuration: its names, its datasets by dataset_info.json, and its defaults."""

import copy
import json
import re

import pytest

INFO = {
    "plain": {"file_name": "plain.json"},
    "named": {"file_name": "named.json", "columns": {"prompt": "q", "query": "input", "response": "a"}},
    "talk": {"file_name": "talk.json", "formatting": "sharegpt",
             "columns": {"messages": "messages"}, "tags": {"role_tag": "role", "content_tag": "content"}},
    "openai": {"file_name": "openai.json", "formatting": "openai", "columns": {"messages": "talk"},
               "tags": {"role_tag": "role", "content_tag": "text", "user_tag": "user", "assistant_tag": "bot"}},
    "hub": {"hf_hub_url": "owner/name", "subset": "small", "formatting": "sharegpt"},
    "pictures": {"file_name": "pictures.json", "formatting": "sharegpt", "columns": {"messages": "messages", "images": "images"}},
    "ranked": {"file_name": "ranked.json", "ranking": True},
}  # fmt: skip
QUESTION = {"with_input": "{instruction}\n{input}"}
PLAIN = {"path": "data/plain.json", "converter": "alpaca", "options": QUESTION}
SMALL = {"model_name_or_path": "a/b", "stage": "sft", "finetuning_type": "lora", "dataset": "plain", "val_size": 0.1}


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset_info.json").write_text(json.dumps(INFO))
    monkeypatch.chdir(tmp_path)


def at(recipe: dict, home: str):
    for part in home.split("."):
        recipe = recipe[part]
    return recipe


def test_llama_factory_defaults_are_made_explicit(imported):
    recipe, entries, found = imported(SMALL)
    assert found.problems == [] and recipe["data"]["sources"] == [PLAIN]
    given = {"adapter": "lora", "lora_r": 8, "lora_alpha": 16, "lora_dropout": 0, "learning_rate": 5e-5, "num_epochs": 3, "micro_batch_size": 8,
            "lr_scheduler": "linear", "gradient_checkpointing": True, "excess_length_strategy": "truncate"}  # fmt: skip
    assert given.items() <= recipe["training"].items()
    assert {entries[key].status for key in SMALL} == {"renamed"}


@pytest.mark.parametrize(
    ("given", "home", "value"),
    [
        ({"cutoff_len": 1024}, "training.sequence_len", 1024),
        ({"per_device_train_batch_size": 2}, "training.micro_batch_size", 2),
        ({"learning_rate": 1e-3}, "training.learning_rate", 1e-3),
        ({"learning_rate": "1e-3"}, "training.learning_rate", 1e-3),
        ({"val_size": "0.2"}, "data.split.validation", 0.2),
        ({"quantization_bit": 4}, "training.adapter", "qlora"),
        ({"quantization_bit": 8}, "training.load_in_8bit", True),
        ({"finetuning_type": "full"}, "training.adapter", "none"),
        ({"lora_target": "q_proj,v_proj"}, "training.lora_target_modules", ["q_proj", "v_proj"]),
        ({"lora_rank": 4}, "training.lora_alpha", 8),
        ({"pure_bf16": True}, "training.precision", "bf16"),
        ({"flash_attn": "fa2"}, "model.attn_implementation", "flash_attention_2"),
        ({"packing": True}, "training.sample_packing", True),
        ({"report_to": "wandb"}, "training.trackers", ["wandb"]),
        ({"disable_gradient_checkpointing": True}, "training.gradient_checkpointing", False),
        ({"deepspeed": "examples/deepspeed/ds_z3_offload_config.json"}, "launch.offload_params", True),
        ({"default_system": "Be kind."}, "data.system_prompt", "Be kind."),
        ({"use_dora": True}, "axolotl.peft_use_dora", True),
        ({"use_rslora": True}, "axolotl.peft_use_rslora", True),
        ({"pissa_init": True, "pissa_iter": 8}, "axolotl.peft_init_lora_weights", "pissa"),
        ({"torch_compile": True}, "axolotl.torch_compile", True),
        ({"neftune_noise_alpha": 5}, "axolotl.neftune_noise_alpha", 5),
        ({"additional_target": "embed_tokens,lm_head"}, "axolotl.lora_modules_to_save", ["embed_tokens", "lm_head"]),
        ({"max_samples": 10}, "data.sources", [PLAIN | {"limit": 10}]),
    ],
    ids=str,
)
def test_a_key_is_named_as_in_recipes(imported, given, home, value):
    recipe, _, found = imported(SMALL | given)
    assert at(recipe, home) == value and found.problems == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("named", {"path": "data/named.json", "converter": "alpaca", "options": {"instruction_key": "q", "output_key": "a"} | QUESTION}),
        ("talk", {"path": "data/talk.json", "converter": "sharegpt",
                  "options": {"conversations_key": "messages", "from_key": "role", "value_key": "content"}}),
        ("openai", {"path": "data/openai.json", "converter": "messages", "options": {"messages_key": "talk", "content_key": "text", "roles": {"bot": "assistant"}}}),
        ("hub", {"path": "hf:owner/name", "converter": "sharegpt", "subset": "small"}),
    ],
)  # fmt: skip
def test_a_dataset_is_what_dataset_info_says(imported, name, source):
    recipe, _, found = imported(SMALL | {"dataset": f"plain, {name}"})
    assert recipe["data"]["sources"][1] == source and found.problems == []


@pytest.mark.parametrize(
    ("given", "key", "why"),
    [
        ({"dataset": "ranked"}, "dataset", "ranked: no converter"),
        ({"dataset": "unknown"}, "dataset", "does not describe it"),
        ({"dataset_dir": "elsewhere"}, "dataset", "no such file: elsewhere/dataset_info.json"),
        ({"template": "llama3"}, "template", "model.chat_template"),
        ({"pissa_init": True}, "pissa_iter", "is exact"),
        ({"val_size": 100}, "val_size", "0.1"),
        ({}, "bf16", "the model's own precision"),
        ({"plot_loss": True}, "plot_loss", "does not change what is trained"),
        ({"disable_shuffling": True}, "disable_shuffling", "shuffled in every epoch"),
        ({"galore_rank": 8}, "galore_rank", "part of use_galore"),
        ({"save_strategy": "no"}, "save_strategy", "once per epoch"),
        ({"finetuning_type": "full", "quantization_bit": 4}, "quantization_bit", "under an adapter"),
        ({"optim": "galore"}, "optim", "the default adamw_torch is used"),
        ({"freeze_trainable_layers": 2, "finetuning_type": "freeze"}, "freeze_trainable_layers", "part of finetuning_type: freeze"),
    ],
    ids=str,
)
def test_unsupported_settings_are_reported(imported, given, key, why):
    _, entries, _ = imported(SMALL | given)
    assert entries[key].status == "not expressible" and re.search(why, entries[key].why)


def test_datasets_to_evaluate_on_are_the_validation_split(imported):
    recipe, _, found = imported(SMALL | {"eval_dataset": "named", "val_size": None})
    assert [source.get("split") for source in recipe["data"]["sources"]] == [None, "validation"] and found.problems == []
    assert recipe["data"]["split"] == {"validation": 0}


def test_preference_training_is_not_supported(imported):
    _, entries, found = imported(SMALL | {"stage": "dpo"})
    assert entries["stage"].status == "not expressible" and "supervised fine-tuning only" in found.problems[0].what


def test_pretraining_reads_texts(imported):
    recipe, _, found = imported(SMALL | {"stage": "pt"})
    sources = [{"path": "data/plain.json", "converter": "table"}]
    assert recipe["data"] == {"type": "text", "sources": sources, "split": {"validation": 0.1}, "dedup": "none"}
    assert found.problems == []


@pytest.mark.parametrize(("given", "packed"), [({}, True), ({"packing": False}, False), ({"neat_packing": True}, True)], ids=str)
def test_texts_are_packed_unless_the_configuration_says_otherwise(imported, given, packed):
    recipe, entries, _ = imported(SMALL | {"stage": "pt"} | given)
    assert recipe["training"]["sample_packing"] is packed
    assert given or entries["packing"].status == "default"
    assert "sample_packing" not in imported(SMALL)[0]["training"]


@pytest.mark.parametrize("given", [{"packing": True, "neat_packing": False}, {"packing": False, "neat_packing": True}], ids=str)
@pytest.mark.parametrize("stage", ["sft", "pt"])
def test_rows_are_packed_where_either_key_says_so_in_any_order(imported, given, stage):
    for order in (given, dict(reversed(given.items()))):
        recipe, entries, found = imported(SMALL | {"stage": stage} | order)
        assert recipe["training"]["sample_packing"] is True and found.problems == []
        assert {entries[key].status for key in order} == {"renamed"}


@pytest.mark.parametrize(
    ("given", "warmup"),
    [
        ({"warmup_steps": 10, "warmup_ratio": 0.1}, {"warmup_steps": 10}), ({"warmup_steps": 0, "warmup_ratio": 0.1}, {"warmup_ratio": 0.1}),
        ({"warmup_steps": 0.2}, {"warmup_ratio": 0.2}), ({"warmup_steps": 0, "warmup_ratio": 0}, {"warmup_steps": 0}),
        ({"warmup_ratio": 0.0}, {"warmup_ratio": 0}),
    ],
    ids=str,
)  # fmt: skip
def test_steps_above_0_override_the_ratio_of_the_warmup(imported, given, warmup):
    for order in (given, dict(reversed(given.items()))):
        recipe, entries, found = imported(SMALL | order)
        assert {key: value for key, value in recipe["training"].items() if key.startswith("warmup")} == warmup
        assert found.problems == [] and "not expressible" not in {entries[key].status for key in order}


def test_steps_of_minus_1_are_none(imported):
    recipe, entries, found = imported(SMALL | {"max_steps": -1, "num_train_epochs": 2})
    assert recipe["training"]["num_epochs"] == 2 and "max_steps" not in recipe["training"] and found.problems == []
    assert entries["max_steps"].status == "renamed"


@pytest.mark.parametrize("value", [True, False, 1, "word", [], {}, ["a"], {"a": 1}, None], ids=str)
def test_every_key_is_accounted_for(imported, value):
    keys = "dataset eval_dataset template lora_rank quantization_bit bf16 packing deepspeed report_to flash_attn no_such_key lora_target".split()
    given = {"model_name_or_path": "a/b", "stage": "sft", **{key: copy.copy(value) for key in keys}}
    _, entries, _ = imported(given, "llamafactory")
    assert set(given) <= set(entries)


def test_mask_history_trains_the_last_turn_only(imported):
    recipe, entries, found = imported(SMALL | {"dataset": "talk", "mask_history": True})
    assert recipe["data"]["sources"][0]["options"]["last_only"] is True and entries["mask_history"].status == "renamed"
    assert found.problems == []


def test_mask_history_is_refused_where_no_converter_can_do_it(imported):
    _, entries, found = imported(SMALL | {"mask_history": True})
    assert entries["mask_history"].status == "not expressible" and "mask_history" in found.problems[0].what


def test_unsupported_dataset_settings_are_reported(imported, tmp_path):
    described = {
        "file_name": "a.json",
        "num_samples": 50,
        "columns": {"prompt": "q", "history": "h", "system": "system", "images": "pictures"},
    }
    (tmp_path / "data" / "dataset_info.json").write_text(json.dumps({"plain": described}))
    _, entries, _ = imported(SMALL | {"bf16": True})
    lost = {key for key, entry in entries.items() if entry.status == "not expressible"}
    assert lost == {"dataset", "dataset plain: num_samples", "dataset plain: columns.history", "dataset plain: columns.images"}


def test_the_tags_of_a_dataset_are_the_option_roles(imported, tmp_path):
    tags = {"role_tag": "role", "content_tag": "value", "user_tag": "client", "assistant_tag": "gpt", "function_tag": "call"}
    described = {"file_name": "a.json", "formatting": "sharegpt", "columns": {"messages": "conversations"}, "tags": tags}
    (tmp_path / "data" / "dataset_info.json").write_text(json.dumps({"plain": described}))
    recipe, entries, _ = imported(SMALL)
    assert recipe["data"]["sources"][0]["options"] == {"from_key": "role", "roles": {"client": "user"}}
    assert entries["dataset plain: tags.function_tag"].status == "not expressible"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"use_galore": True}, "another optimizer"),
        ({"use_muon": True}, "another optimizer"),
        ({"use_dft_loss": True}, "another loss"),
        ({"mixture_of_depths": "convert"}, "without changes to its layers"),
        ({"finetuning_type": "oft"}, "by LoRA or QLoRA"),
        ({"finetuning_type": "freeze"}, "by LoRA or QLoRA"),
        ({"freeze_vision_tower": True}, "not vision or audio"),
        ({"dataset": "plain,pictures"}, "pictures has images"),
        ({"mix_strategy": "interleave_under"}, "every row of every source"),
        ({"quantization_bit": 4, "quantization_method": "hqq"}, "bitsandbytes only"),
        ({"adapter_name_or_path": "saves/lora"}, "begin with a new adapter"),
        ({"do_predict": True}, "trains nothing"),
        ({"dataset": "talk", "train_on_prompt": True, "mask_history": True}, "beside train_on_prompt"),
        ({"a_key_of_a_later_version": 2}, "may change what is trained"),
    ],
    ids=str,
)
def test_what_would_be_another_training_is_refused(imported, given, why):
    _, entries, found = imported(SMALL | given)
    (key,) = [key for key in given if key in ("quantization_method",)] or list(given)[-1:]
    assert entries[key].status == "not expressible"
    assert [problem.rule for problem in found.problems if why in problem.what] == ["another-training"]


@pytest.mark.parametrize(
    "given",
    [{"save_strategy": "epoch"}, {"eval_strategy": "steps", "eval_steps": 10}, {"flash_attn": "auto"}, {"use_galore": False}, {"freeze_language_model": False}, {"mix_strategy": "concat"}, {"quantization_bit": 4, "quantization_method": "bnb"},
     {"do_train": True, "do_predict": True}, {"a_key_of_a_later_version": False}, {"tokenized_path": None}],
    ids=str,
)  # fmt: skip
def test_values_that_recipes_train_with_too_are_not_refused(imported, given):
    assert imported(SMALL | given)[2].problems == []


def test_equal_rows_are_trained_as_llama_factory_trains_them(imported):
    recipe, entries, _ = imported(SMALL)
    assert recipe["data"]["dedup"] == "none" and entries["dataset: equal rows"].status == "default"


TURNS = '{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "system": "Be kind."}'
ALPACA = '{"instruction": "a", "input": "i", "output": "b", "history": [["c", "d"]], "system": "Be kind."}'


@pytest.mark.parametrize(
    ("described", "rows", "unread"),
    [
        ({}, ALPACA, ["system", "history"]),
        ({"columns": {"prompt": "instruction", "response": "output"}}, ALPACA, ["input", "system", "history"]),
        (
            {"columns": {"prompt": "instruction", "query": "input", "response": "output", "system": "system", "history": "history"}},
            ALPACA,
            [],
        ),
        ({}, '{"instruction": "a", "input": "i", "output": "b"}', []),
        ({"formatting": "sharegpt"}, TURNS, ["system"]),
        ({"formatting": "sharegpt", "columns": {"messages": "conversations", "system": "system"}}, TURNS, []),
        ({"file_name": "rows.csv"}, "instruction,input,output,system\na,i,b,s\n", ["system"]),
    ],
    ids=["by default", "two columns", "all columns", "no such keys", "turns", "turns with the column", "a table"],
)
def test_keys_that_the_tool_would_not_read_of_the_rows_are_reported(imported, tmp_path, described, rows, unread):
    """A description without a column for the input, the system prompt or the history leaves it out; the converters read it."""
    described = {"file_name": "rows.json"} | described
    (tmp_path / "data" / described["file_name"]).write_text(rows)
    (tmp_path / "data" / "dataset_info.json").write_text(json.dumps({"mine": described}))
    _, entries, _ = imported(SMALL | {"dataset": "mine"})
    found = entries.get("dataset mine: columns")
    assert (found.why.partition("reads no ")[2].partition(" of its rows")[0].split(" and no ") if found else []) == unread


def test_weights_that_are_trained_wider_than_in_llama_factory_are_told(imported):
    _, entries, _ = imported(SMALL | {"pure_bf16": True, "bf16": True})
    assert "fp32" in entries["pure_bf16"].why and entries["bf16"].why == ""
