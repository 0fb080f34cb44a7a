"""Texts as blocks with their account, through a real tokenizer."""

from types import SimpleNamespace

import pytest
from recipekit.runner.worker.prepared_rows import step_faults
from recipekit.runner.worker.text_data import blocks_of, prepare

from ...support.jsonl import write_jsonl
from ...support.tiny import text_rows

RECORDS = [{"id": str(number), "text": text} for number, text in enumerate(text_rows())]


@pytest.fixture(scope="module")
def tokenizer(tiny_gpt2):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_gpt2)


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "a part in each row"])
def test_every_token_of_every_text_is_in_a_block(tokenizer, packed):
    blocks, facts = blocks_of(RECORDS, tokenizer, 64, packed)
    expected = sum(len(tokenizer(record["text"])["input_ids"]) + 2 for record in RECORDS)
    assert facts["tokens"] == expected
    assert facts["trained"] == expected - len(RECORDS)
    assert sum(label != -100 for block in blocks for label in block["labels"]) == facts["trained"]
    assert facts["trained"] + facts["masked"] == sum(len(block["input_ids"]) for block in blocks)
    assert facts["split_documents"] == 5 and facts["rows"] == 40
    assert facts["longest"] <= 64


def test_the_texts_can_be_read_back_from_unpacked_blocks(tokenizer):
    blocks, _ = blocks_of(RECORDS, tokenizer, 64, packed=False)
    trained = [label for block in blocks for label in block["labels"] if label != -100]
    texts = tokenizer.decode(trained).split("<|endoftext|>")
    assert texts == [*(record["text"] for record in RECORDS), ""]


def test_packing_needs_fewer_blocks(tokenizer):
    packed, loose = (blocks_of(RECORDS, tokenizer, 64, packed)[0] for packed in (True, False))
    assert len(packed) < len(loose)


def settings(**changes):
    values = {"micro_batch_size": 2, "gradient_accumulation_steps": 2, "num_epochs": 3, "world_size": 1, "max_steps": None,
              "eval_steps": None, "save_steps": None, "warmup_steps": 0, "warmup_ratio": None, "sequence_len": 64,
              "pack_blocks": True}  # fmt: skip
    return type("Settings", (SimpleNamespace,), {"__getitem__": lambda self, key: getattr(self, key)})(**values | changes)


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"eval_steps": 6, "save_steps": 6, "warmup_steps": 5}, []),  # 7 blocks, 4 batches, 2 steps an epoch
        ({"eval_steps": 7}, ["eval_steps"]),
        ({"save_steps": 7}, ["save_steps"]),
        ({"warmup_steps": 6}, ["warmup_steps"]),
        ({"max_steps": 1, "warmup_steps": None, "warmup_ratio": 0.1}, ["warmup_ratio"]),
        ({"max_steps": 4, "eval_steps": 5}, ["eval_steps"]),
        ({"world_size": 2, "eval_steps": 4}, ["eval_steps"]),
    ],
)
def test_a_key_beyond_the_end_of_the_run_is_reported_once_the_blocks_are_counted(changes, keys):
    assert [fault.split(":")[0].removeprefix("training.") for fault in step_faults(settings(**changes), 7)] == keys


def test_both_splits_become_data_sets(tokenizer, tmp_path):
    for name, rows in (("train", RECORDS[:32]), ("validation", RECORDS[32:])):
        write_jsonl(tmp_path / f"{name}.jsonl", rows)
    paths = [{"path": str(tmp_path / f"{name}.jsonl")} for name in ("train", "validation")]
    prepared = prepare(settings(datasets=paths[:1], test_datasets=paths[1:]), tokenizer)
    assert prepared.train.column_names == ["input_ids", "labels", "position_ids"]
    assert len(prepared.train) == prepared.report["train"]["trained_rows"]
    assert prepared.report["validation"]["rows"] == 8
    assert prepared.faults == []
