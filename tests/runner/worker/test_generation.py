"""A batch that does not fit on the GPU is answered in parts."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.worker.generation import in_memory


def fitting(most, tried):
    def answer(batch):
        tried.append(len(batch))
        if len(batch) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [number * number for number in batch]

    return answer


@pytest.mark.parametrize(
    ("most", "tried"), [(8, [8]), (4, [8, 4, 4]), (3, [8, 4, 2, 2, 4, 2, 2]), (1, [8, 4, 2, 1, 1, 2, 1, 1, 4, 2, 1, 1, 2, 1, 1])]
)
def test_every_row_is_answered_in_order_whatever_fits(most, tried):
    seen = []
    assert in_memory(fitting(most, seen), [*range(8)]) == [number * number for number in range(8)]
    assert seen == tried


def test_a_row_that_does_not_fit_by_itself_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        in_memory(fitting(0, []), [1, 2, 3])
