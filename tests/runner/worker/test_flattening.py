"""Rows that follow each other in one sequence train what padded rows train: the same steps, losses and gradients, on real tiny models."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from recipekit.runner.launch.kernel_choice import LIGER_FAMILIES
from recipekit.runner.worker.batches import StepBatches
from recipekit.runner.worker.loss import PairHead, head_of

from ...support.flat_rows import BY_LENGTHS, FLAT, SIZES, attention_by_lengths, padded, rows, trained_tokens

STEPS, MICRO, ACCUMULATION = 10, 4, 2


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny matrices: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(config, attention, flat, autocast=False):
    """The losses of ten steps over the same rows, and the first step's gradients."""
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention).train()
    head, data = PairHead(head_of(model), fused=False), rows(STEPS * MICRO * ACCUMULATION)
    loss_of = head.wrap(
        lambda model, batch, count: head.loss(model(**{k: v for k, v in batch.items() if k != "labels"}), batch["labels"], count)
    )
    batches = list(StepBatches([len(row["input_ids"]) for row in data], MICRO, ACCUMULATION, 7, flat))
    optimizer, losses, gradients = torch.optim.AdamW(model.parameters(), lr=1e-2), [], {}
    for at in range(0, len(batches), ACCUMULATION):
        chosen = [[data[row] for row in batch] for batch in batches[at : at + ACCUMULATION]]
        made = [(FLAT if flat else padded)(part) for part in chosen]
        count = sum(map(trained_tokens, chosen))  # over the whole step
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            step = [loss_of(model, batch, count) for batch in made]
        total = torch.stack(step).sum()
        total.backward()
        gradients = gradients or {name: weight.grad.clone() for name, weight in model.named_parameters()}
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total.item())
    return losses, gradients


def hold(one, two):
    (losses, gradients), (others, other) = one, two
    assert len(losses) == STEPS and others == pytest.approx(losses, rel=1e-4)
    assert losses[-1] < losses[0] - 0.05, "the steps learn, or equal losses would show nothing"
    assert all((gradients[name] - other[name]).abs().max() < 1e-4 * gradients[name].abs().max() for name in gradients)


@pytest.mark.parametrize("family", LIGER_FAMILIES)
def test_ten_steps_without_padding_are_the_ten_steps_with_it(family):
    config = transformers.AutoConfig.for_model(family, **SIZES)
    hold(trained(config, "sdpa", flat=False), trained(config, "sdpa", flat=True))


@pytest.fixture
def by_lengths():
    with attention_by_lengths() as seen:
        yield seen


def test_positions_alone_tell_attention_where_rows_end(by_lengths):
    config = transformers.AutoConfig.for_model("llama", **SIZES)
    hold(trained(config, "sdpa", flat=False), trained(config, BY_LENGTHS, flat=True))
    seen = by_lengths.rows
    assert max(seen) > 1 and sum(seen) == 2 * STEPS * MICRO * ACCUMULATION, "two layers, every row once"
    assert by_lengths.types == {torch.float32}


@pytest.mark.parametrize("family", LIGER_FAMILIES)
def test_fp32_weights_under_autocast_train_the_same_without_padding_by_a_kernel_that_takes_16_bits_only(by_lengths, family):
    """Full training on a GPU. No further apart than twice what autocast itself changes: attention is rounded in another order."""
    config = transformers.AutoConfig.for_model(family, **SIZES)
    exact, plain = (trained(config, "sdpa", flat=False, autocast=autocast) for autocast in (False, True))
    losses, gradients = trained(config, BY_LENGTHS, flat=True, autocast=True)
    assert by_lengths.types == {torch.bfloat16}
    assert losses == pytest.approx(plain[0], abs=2 * max(abs(one - other) for one, other in zip(exact[0], plain[0], strict=True)))
    for name, gradient in gradients.items():
        most = 2 * max((exact[1][name] - plain[1][name]).norm(), 1e-3 * exact[1][name].norm())
        assert (gradient - plain[1][name]).norm() <= most, name


def test_no_row_predicts_the_first_token_of_the_next():
    batch = FLAT([{"input_ids": [5, 6, 7], "labels": [5, 6, 7]}, {"input_ids": [8, 9], "labels": [8, 9]}])
    assert batch["labels"].tolist() == [[-100, 6, 7, -100, 9]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9]] and "attention_mask" not in batch
