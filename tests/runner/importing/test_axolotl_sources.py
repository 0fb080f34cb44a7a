"""Axolotl's datasets as sources: the converter that reads their rows, or word that none does."""

import pytest

from ...support.axolotl_configs import SMALL

CHAT = {"type": "chat_template"}
READ = [
    (CHAT, "chat", "messages", {}),
    (CHAT | {"field_messages": "turns", "message_field_role": "who", "message_field_content": "what"}, "chat", "messages",
     {"messages_key": "turns", "role_key": "who", "content_key": "what"}),
    (CHAT | {"field_messages": "conversations", "message_property_mappings": {"role": "from", "content": "value"}}, "chat", "sharegpt", {}),
    ({"type": "sharegpt", "field_messages": "talk"}, "chat", "sharegpt", {"conversations_key": "talk"}),
    ({"type": "alpaca"}, "chat", "alpaca", {}),
    ({"type": {"field_instruction": "q", "field_input": "input", "field_output": "a"}}, "chat", "alpaca",
     {"instruction_key": "q", "output_key": "a"}),
    ({"type": "completion"}, "text", "table", {}),
    ({"type": "completion", "field": "story"}, "text", "table", {"text_key": "story"}),
    ({"type": "completion", "ds_type": "text"}, "text", "text", {"sample_by": "line"}),
]  # fmt: skip


def config(*datasets, **further):
    return SMALL | {"datasets": [{"path": "rows.jsonl", **dataset} for dataset in datasets]} | further


@pytest.mark.parametrize(("dataset", "kind", "converter", "options"), READ, ids=[str(dataset) for dataset, *_ in READ])
def test_a_datasets_rows_are_read_by_the_converter_that_fits(imported, dataset, kind, converter, options):
    recipe, entries, found = imported(config(dataset))
    (source,) = recipe["data"]["sources"]
    assert (recipe["data"]["type"], source["converter"], source.get("options", {})) == (kind, converter, options)
    assert found.problems == [] and {entries[f"datasets.0.{key}"].status for key in dataset if key != "type"} <= {"renamed"}


@pytest.mark.parametrize("kind", ["reflection", "alpaca_chat.load_qa", "input_output", None, 3, ["alpaca"], {"field_output": "a"}], ids=str)
def test_a_type_that_no_converter_fits_is_reported_and_not_guessed(imported, kind):
    recipe, entries, _ = imported(config(CHAT, {"type": kind, "split": "train"}))
    assert len(recipe["data"]["sources"]) == 1
    for key in ("path", "type", "split"):
        assert entries[f"datasets.1.{key}"].status == "not expressible" and "recipe show --converter" in entries[f"datasets.1.{key}"].why


def test_datasets_of_another_type_are_reported(imported):
    recipe, entries, _ = imported(config(CHAT, {"type": "completion"}))
    assert [source["converter"] for source in recipe["data"]["sources"]] == ["messages"]
    assert entries["datasets.1.type"].why == "a recipe has one record type, here chat"


@pytest.mark.parametrize(
    ("dataset", "source"),
    [
        ({"path": "owner/name"}, {"path": "hf:owner/name"}),
        ({"path": "owner/name", "name": "small", "revision": "main", "split": "test"},
         {"path": "hf:owner/name", "subset": "small", "revision": "main", "hub_split": "test"}),
        ({"path": "rows.jsonl", "split": "train"}, {"path": "rows.jsonl"}),
        ({"path": "/data/rows.jsonl"}, {"path": "/data/rows.jsonl"}),
    ],
    ids=["a hub's", "a hub's split", "a file", "a file elsewhere"],
)  # fmt: skip
def test_a_path_is_a_file_or_a_name_on_the_hub(imported, dataset, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe, _, found = imported(config(CHAT | dataset))
    assert recipe["data"]["sources"] == [{"converter": "messages", **source}] and found.problems == []


def test_every_listed_data_file_is_a_source(imported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe, _, _ = imported(config(CHAT | {"path": "json", "data_files": ["a.jsonl", "b.jsonl"]}))
    assert [source["path"] for source in recipe["data"]["sources"]] == ["a.jsonl", "b.jsonl"]


@pytest.mark.parametrize(
    ("further", "key", "why"),
    [
        ({"path": "owner/name", "split": "train[:20%]"}, "split", "slices are not supported"),
        ({"path": "owner/name", "data_files": "a.jsonl"}, "data_files", "no such key"),
        ({"split": "test"}, "split", "no such key"),
        ({"shards": 4}, "shards", "data.sources.limit reads fewer"),
        ({"train_on_eos": "last"}, "train_on_eos", "no such key"),
        ({"message_property_mappings": {"role": "role", "tools": "t"}}, "message_property_mappings", "not read: tools"),
        ({"roles": {"narrator": ["voice"]}}, "roles", "no such key"),
        (
            {"type": {"field_instruction": "q", "field_output": "a", "format": "[INST] {instruction}"}},
            "type.format",
            "chat template is used instead",
        ),
    ],
    ids=["a slice", "a hub's files", "a file's split", "shards", "the end of the last turn", "tools", "a role", "a format"],
)
def test_unsupported_source_settings_are_reported(imported, further, key, why):
    _, entries, _ = imported(config(CHAT | further))
    assert entries[f"datasets.0.{key}"].status == "not expressible" and why in entries[f"datasets.0.{key}"].why


def test_datasets_to_test_on_are_the_validation_split(imported):
    recipe, entries, found = imported(config(CHAT, test_datasets=[{"path": "held_out.jsonl", "type": "chat_template"}], val_set_size=0))
    assert [source["split"] for source in recipe["data"]["sources"]] == ["train", "validation"]
    assert recipe["data"]["split"] == {"validation": 0} and found.problems == [] and entries["val_set_size"].status == "renamed"


def test_common_dataset_settings_apply_to_all_sources(imported):
    recipe, _, found = imported(config(CHAT | {"roles_to_train": ["assistant", "user"], "chat_template": "chatml", "train_on_eos": "turn"}))
    assert recipe["training"]["roles_to_train"] == ["assistant", "user"] and recipe["model"]["chat_template"] == "chatml"
    assert found.problems == []


@pytest.mark.parametrize("named", [0, 1])
@pytest.mark.parametrize(("key", "value"), [("roles_to_train", ["user", "assistant"]), ("chat_template", "chatml")])
def test_a_dataset_that_has_the_default_differs_from_one_that_sets_another_value(imported, key, value, named):
    datasets = [CHAT, CHAT | {"path": "more.jsonl"}]
    datasets[named] = datasets[named] | {key: value}
    _, entries, found = imported(config(*datasets))
    assert "a recipe has one value for all sources" in entries[f"datasets.{1 - named}.{key}"].why and found.problems == []
    _, entries, _ = imported(
        config(*datasets, CHAT | {"path": "third.jsonl", key: ["assistant"] if key == "roles_to_train" else "tokenizer_default"})
    )
    assert {entries[f"datasets.{number}.{key}"].status for number in (1 - named, 2)} == {"not expressible"}
    _, entries, _ = imported(config(CHAT | {key: value}, {"type": "alpaca"}))
    was = entries.get(f"datasets.1.{key}")  # a dataset of the type alpaca has no chat template
    assert was.status == "not expressible" if key == "roles_to_train" else was is None


def test_the_names_of_roles_are_an_option(imported):
    roles = {"user": ["human", "client"], "assistant": ["gpt", "bot"]}
    recipe, _, found = imported(config(CHAT | {"roles": roles}))
    assert recipe["data"]["sources"][0]["options"]["roles"] == {"client": "user", "bot": "assistant"} and found.problems == []


@pytest.mark.parametrize("path", [{}, {"path": ""}, {"path": None}, {"data_files": []}, {"data_files": [""]}], ids=str)
def test_a_dataset_without_a_path_is_reported(imported, path):
    given = SMALL | {"datasets": [{"path": "rows.jsonl", **CHAT}, {**CHAT, **path}]}
    recipe, entries, _ = imported(given)
    assert len(recipe["data"]["sources"]) == 1
    assert (entries["datasets.1.type"].status, entries["datasets.1.type"].why) == ("not expressible", "the dataset has no path")
