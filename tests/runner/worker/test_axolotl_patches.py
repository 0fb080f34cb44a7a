"""Few rows are tokenised, filtered and saved without further processes, and copied to no other folder; what is trained besides an adapter
is fp32."""

import multiprocessing.process
from contextlib import nullcontext
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
datasets = pytest.importorskip("datasets", reason="datasets need the extra [train]")
pytest.importorskip("multiprocess", reason="datasets need the extra [train]")

from multiprocess.process import BaseProcess
from recipekit.runner.worker.axolotl_patches import SMALL, rows_cached_in, small_datasets_in_this_process, train_in_fp32

from ...support.jsonl import write_jsonl


@pytest.fixture
def started(monkeypatch):
    """The processes that `datasets` starts."""
    found = []
    for kind in (BaseProcess, multiprocessing.process.BaseProcess):
        start = kind.start
        monkeypatch.setattr(kind, "start", lambda process, start=start: (found.append(process.name), start(process))[1])
    return found


@pytest.mark.parametrize(("block", "processes"), [(nullcontext, True), (small_datasets_in_this_process, False)])
def test_rows_are_saved_by_this_process_inside_the_block_only(started, tmp_path, block, processes):
    rows = datasets.Dataset.from_list([{"input_ids": [1, 2]}, {"input_ids": [3]}])
    with block():
        rows.save_to_disk(tmp_path / "saved", num_proc=1)
    assert bool(started) == processes
    assert datasets.load_from_disk(tmp_path / "saved").to_list() == rows.to_list()


@pytest.mark.parametrize(("rows", "processes"), [(SMALL - 1, False), (SMALL, True)])
def test_only_many_rows_are_mapped_and_filtered_by_other_processes(started, rows, processes):
    numbers = datasets.Dataset.from_dict({"number": range(rows)})
    with small_datasets_in_this_process():
        found = numbers.map(lambda row: {"number": row["number"] + 1}, num_proc=2).filter(lambda row: row["number"] % 2 == 0, num_proc=2)
    assert bool(started) == processes
    assert found["number"][:] == [number for number in range(1, rows + 1) if number % 2 == 0]


def test_the_library_is_as_it_was_after_a_failure():
    before = datasets.Dataset.map, datasets.Dataset.save_to_disk
    with pytest.raises(KeyError), small_datasets_in_this_process():
        raise KeyError
    assert (datasets.Dataset.map, datasets.Dataset.save_to_disk) == before


def test_rows_are_copied_to_the_folder_and_not_to_the_cache_of_the_user(tmp_path, monkeypatch):
    """That cache may be read-only, and a copy in it would outlive the run."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", "/proc/nothing")
    rows = write_jsonl(tmp_path / "rows.jsonl", [{"number": 1}, {"number": 2}])
    monkeypatch.chdir(tmp_path)
    with rows_cached_in(tmp_path / "cache"):
        found = datasets.load_dataset("json", data_files=str(rows), split="train")
    assert datasets.config.HF_DATASETS_CACHE == "/proc/nothing"
    assert found.map(lambda row: {"number": -row["number"]})["number"][:] == [-1, -2]
    assert [Path(file["filename"]).absolute().is_relative_to(tmp_path / "cache") for file in found.cache_files] == [True]


def test_rows_are_copied_in_a_folder_with_a_long_name_of_wide_letters(tmp_path, monkeypatch):
    folder = tmp_path / ("語" * 60) / ("🙂" * 40)  # 100 characters, 340 bytes
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    rows = write_jsonl(folder / "rows.jsonl", [{"number": 1}])
    with rows_cached_in(folder / "cache"):
        assert datasets.load_dataset("json", data_files=str(rows), split="train")["number"][:] == [1]


@pytest.fixture
def classifier():
    """A LoRA with the head that peft trains whole, in a 16-bit type."""
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForSequenceClassification

    def build(dtype):
        config = LlamaConfig(
            vocab_size=31, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_labels=2, pad_token_id=0
        )
        model = LlamaForSequenceClassification(config).to(dtype)
        return get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], task_type="SEQ_CLS"))

    return build


def types(model, trained):
    return {weight.dtype for weight in model.parameters() if weight.requires_grad == trained}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_peft_leaves_a_head_in_16_bits_and_train_in_fp32_only_changes_what_is_trained(classifier, dtype):
    model = classifier(dtype)
    assert types(model, trained=True) == {torch.float32, dtype}
    train_in_fp32(model)
    assert types(model, trained=True) == {torch.float32} and types(model, trained=False) == {dtype}


def step(model, rate=1e-4):
    """A step under autocast and the scaler, as with fp16 on a GPU. Returns the head before and after."""
    scaler, optimizer = torch.amp.GradScaler("cpu", init_scale=8.0), torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    head = next(weight for name, weight in model.named_parameters() if "score.modules_to_save" in name)
    before = head.detach().clone()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(input_ids=torch.tensor([[1, 2, 3]]), labels=torch.tensor([1])).loss
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    return before, head.detach()


def test_a_head_in_fp16_could_not_be_trained(classifier):
    with pytest.raises(ValueError, match="unscale FP16"):
        step(classifier(torch.float16))
    model = classifier(torch.float16)
    train_in_fp32(model)
    before, after = step(model)
    assert not torch.equal(before, after)


def test_small_steps_move_every_weight_of_a_head_in_fp32_and_few_in_bf16(classifier):
    moved = {}
    for name in ("bf16", "fp32"):
        model = classifier(torch.bfloat16)
        if name == "fp32":
            train_in_fp32(model)
        before, after = step(model, rate=1e-6)
        moved[name] = (before != after).float().mean().item()
    assert moved["fp32"] == 1 and moved["bf16"] < 0.2
