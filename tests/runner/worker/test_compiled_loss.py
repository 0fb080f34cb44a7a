"""The loss of trained tokens in a model that torch compiles: the same, and compiled for all lengths."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from recipekit.runner.worker.loss import PairHead, head_of


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")  # of what compiling imports
def test_a_compiled_model_is_compiled_for_one_length_and_then_for_all(tiny_model):
    """With the head inside, each number of trained tokens compiled the whole model again, eight times in all, and then it was not any more."""
    from torch._dynamo.utils import counters

    def losses(compiled):
        model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model)
        head, found = PairHead(head_of(model), fused=True), []
        one = torch.compile(model, backend="eager") if compiled else model
        loss_of = head.wrap(lambda model, batch: head.loss(one(input_ids=batch["input_ids"], use_cache=False), batch["labels"]))
        for length in range(6, 10):
            ids = torch.arange(length)[None]
            labels = ids.masked_fill(ids < length // 3, -100)
            found.append(loss_of(model, {"input_ids": ids, "labels": labels}).item())
        return found

    torch.compiler.reset()
    counters.clear()
    plain = losses(compiled=False)
    assert losses(compiled=True) == pytest.approx(plain, rel=1e-6)
    assert counters["stats"]["unique_graphs"] <= 2 and not counters["recompile_limit"]
