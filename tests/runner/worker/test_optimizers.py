"""Two names of one optimizer train the same: as transformers makes them, on a tiny model with fp32 weights, with bf16 autocast and without."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from ...support.flat_rows import SIZES, padded, rows

STEPS, NAMES = 10, ("adamw_torch", "adamw_torch_fused")


@pytest.fixture
def optimizers(tmp_path):
    """For each name a model, all with the same weights, and its optimizer."""
    made = []
    for name in NAMES:
        torch.manual_seed(0)
        model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model("llama", **SIZES))
        args = transformers.TrainingArguments(str(tmp_path), optim=name, learning_rate=1e-2, use_cpu=True, report_to=[])
        kind, options = transformers.Trainer.get_optimizer_cls_and_kwargs(args)
        made.append((model, kind(model.parameters(), **options, weight_decay=0.1)))
    assert [bool(optimizer.defaults["fused"]) for _, optimizer in made] == [False, True], "they are two implementations"
    return made


def step(pair, batch, autocast=False, gradients=None):
    """The loss before an optimizer step with clipped gradients; those of the batch if none are given."""
    model, optimizer = pair
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = model(**batch).loss
    optimizer.zero_grad()
    loss.backward()
    for weight, gradient in zip(model.parameters(), gradients or [], strict=False):
        weight.grad.copy_(gradient)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def batches():
    data = rows(STEPS * 4)
    return [padded(data[at : at + 4]) for at in range(0, len(data), 4)]


def hold(optimizers):
    pairs = zip(*(model.parameters() for model, _ in optimizers), strict=True)
    assert all((one - two).norm() <= 1e-5 * one.norm() for one, two in pairs)


def test_the_fused_adamw_trains_the_same(optimizers):
    losses, others = ([step(one, batch) for batch in batches()] for one in optimizers)
    assert losses[-1] < losses[0] - 0.05, "the steps learn, or equal losses would show nothing"
    assert others == pytest.approx(losses, rel=1e-5)
    hold(optimizers)


def test_the_fused_adamw_makes_the_same_of_the_gradients_of_autocast(optimizers):
    """Its own would be others soon: what differs in the last of 24 bits is rounded to 8."""
    one, other = optimizers
    for batch in batches():
        step(one, batch, autocast=True)
        step(other, batch, autocast=True, gradients=[weight.grad for weight in one[0].parameters()])
    hold(optimizers)
