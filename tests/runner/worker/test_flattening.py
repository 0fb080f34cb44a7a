"""Rows that follow each other in one sequence train what padded rows train: the same steps, losses and gradients, on real tiny models."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from recipekit.runner.launch.kernel_choice import LIGER_FAMILIES
from recipekit.runner.worker.batches import StepBatches
from recipekit.runner.worker.loss import PairHead, head_of
from recipekit.runner.worker.text_data import BlockCollator
from recipekit.runner.worker.varlen import in_the_type_of_autocast
from torch.nn.functional import scaled_dot_product_attention
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_flash_attention_utils import prepare_fa_kwargs_from_position_ids
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

SIZES = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "head_dim": 8, "use_cache": False,
}  # fmt: skip
STEPS, MICRO, ACCUMULATION = 10, 4, 2
FLAT = BlockCollator(SimpleNamespace(pad_token_id=0), flatten=True)


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny matrices: threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rows():
    """80 rows of very unequal length that count upwards, of which the last tokens are trained: all but the first in some, one in others."""
    draw = torch.Generator().manual_seed(1)
    found = []
    for number in range(STEPS * MICRO * ACCUMULATION):
        start, length = int(torch.randint(0, 61, (), generator=draw)), 2 + int(torch.randint(1, 40, (), generator=draw))
        ids = [3 + (start + at) % 61 for at in range(length)]
        trained = 1 + number % (len(ids) - 1)
        found.append({"input_ids": ids, "labels": [-100] * (len(ids) - trained) + ids[-trained:], "attention_mask": [1] * len(ids)})
    return found


def padded(chosen):
    """As transformers' own collator pads them."""
    longest = max(len(row["input_ids"]) for row in chosen)
    fill = {"input_ids": 0, "labels": -100, "attention_mask": 0}
    return {key: torch.tensor([row[key] + [value] * (longest - len(row[key])) for row in chosen]) for key, value in fill.items()}


def trained(config, attention, flat, autocast=False):
    """The losses of ten steps over the same rows, and the first step's gradients."""
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention).train()
    head, data = PairHead(head_of(model), fused=False), rows()
    loss_of = head.wrap(
        lambda model, batch, count: head.loss(model(**{k: v for k, v in batch.items() if k != "labels"}), batch["labels"], count)
    )
    batches = list(StepBatches([len(row["input_ids"]) for row in data], MICRO, ACCUMULATION, 7, flat))
    optimizer, losses, gradients = torch.optim.AdamW(model.parameters(), lr=1e-2), [], {}
    for at in range(0, len(batches), ACCUMULATION):
        chosen = [[data[row] for row in batch] for batch in batches[at : at + ACCUMULATION]]
        made = [(FLAT if flat else padded)(part) for part in chosen]
        count = sum((batch["labels"][:, 1:] != -100).sum() for batch in made)  # over the whole step, as transformers counts them
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
def attention_by_lengths():
    """What torch's varlen kernel computes, which is there on a GPU only: attention within the lengths that the positions tell, no mask."""

    def forward(module, query, key, value, attention_mask, scaling=None, position_ids=None, **_):
        assert attention_mask is None
        types.update({query.dtype, key.dtype, value.dtype})
        (starts, _), _ = prepare_fa_kwargs_from_position_ids(position_ids)
        parts = [slice(a, b) for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)]
        seen.append(len(parts))
        out = [scaled_dot_product_attention(query[:, :, part], key[:, :, part], value[:, :, part], is_causal=True, scale=scaling,
                                            enable_gqa=True) for part in parts]  # fmt: skip
        return torch.cat(out, dim=2).transpose(1, 2), None

    seen, types = [], set()
    ALL_ATTENTION_FUNCTIONS.register("by_lengths", in_the_type_of_autocast(forward))
    ALL_MASK_ATTENTION_FUNCTIONS.register("by_lengths", lambda *args, **kwargs: None)
    yield SimpleNamespace(rows=seen, types=types)
    del ALL_ATTENTION_FUNCTIONS._global_mapping["by_lengths"], ALL_MASK_ATTENTION_FUNCTIONS._global_mapping["by_lengths"]


def test_positions_alone_tell_attention_where_rows_end(attention_by_lengths):
    config = transformers.AutoConfig.for_model("llama", **SIZES)
    hold(trained(config, "sdpa", flat=False), trained(config, "by_lengths", flat=True))
    seen = attention_by_lengths.rows
    assert max(seen) > 1 and sum(seen) == 2 * STEPS * MICRO * ACCUMULATION, "two layers, every row once"
    assert attention_by_lengths.types == {torch.float32}


@pytest.mark.parametrize("family", LIGER_FAMILIES)
def test_fp32_weights_under_autocast_train_the_same_without_padding_by_a_kernel_that_takes_16_bits_only(attention_by_lengths, family):
    """Full training on a GPU. No further apart than twice what autocast itself changes: attention is rounded in another order."""
    config = transformers.AutoConfig.for_model(family, **SIZES)
    exact, plain = (trained(config, "sdpa", flat=False, autocast=autocast) for autocast in (False, True))
    losses, gradients = trained(config, "by_lengths", flat=True, autocast=True)
    assert attention_by_lengths.types == {torch.bfloat16}
    assert losses == pytest.approx(plain[0], abs=2 * max(abs(one - other) for one, other in zip(exact[0], plain[0], strict=True)))
    for name, gradient in gradients.items():
        most = 2 * max((exact[1][name] - plain[1][name]).norm(), 1e-3 * exact[1][name].norm())
        assert (gradient - plain[1][name]).norm() <= most, name


def test_no_row_predicts_the_first_token_of_the_next():
    batch = FLAT([{"input_ids": [5, 6, 7], "labels": [5, 6, 7]}, {"input_ids": [8, 9], "labels": [8, 9]}])
    assert batch["labels"].tolist() == [[-100, 6, 7, -100, 9]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9]] and "attention_mask" not in batch
