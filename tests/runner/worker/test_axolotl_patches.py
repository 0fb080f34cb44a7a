"""Few rows are tokenised, filtered and saved without further processes."""

import multiprocessing.process
from contextlib import nullcontext

import pytest

datasets = pytest.importorskip("datasets", reason="datasets need the extra [train]")
pytest.importorskip("multiprocess", reason="datasets need the extra [train]")

from multiprocess.process import BaseProcess
from recipekit.runner.worker.axolotl_patches import SMALL, small_datasets_in_this_process


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
