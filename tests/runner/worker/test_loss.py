"""The loss over a step's trained tokens, on real tiny models: as the models' own, however the rows are batched, padded or packed."""

import copy
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from recipekit.runner.worker import head_loss as chunked
from recipekit.runner.worker.chat_data import packed
from recipekit.runner.worker.loss import PairHead, head_makes_the_logits, head_of, set_up_trainer, token_loss, trained_pairs
from recipekit.runner.worker.text_data import BlockCollator

ROWS = [(9, 4), (31, 2), (5, 1), (17, 12), (23, 7)]  # tokens, trained ones at the end


@pytest.fixture(scope="module", params=["tiny_gpt2", "tiny_model"])
def model(request):
    found = transformers.AutoModelForCausalLM.from_pretrained(request.getfixturevalue(request.param), attn_implementation="sdpa").eval()
    found.config.use_cache = False
    return found


@pytest.fixture(scope="module")
def rows():
    torch.manual_seed(1)
    found = []
    for tokens, trained in ROWS:
        ids = torch.randint(5, 200, (tokens,)).tolist()
        found.append({"input_ids": ids, "labels": [-100] * (tokens - trained) + ids[-trained:]})
    return found


def padded(rows):
    longest = max(len(row["input_ids"]) for row in rows)
    fill = {"input_ids": 0, "labels": -100}
    batch = {key: torch.tensor([row[key] + [value] * (longest - len(row[key])) for row in rows]) for key, value in fill.items()}
    return batch | {"attention_mask": torch.tensor([[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows])}


def loss_of(model, batch, count=None, fused=True):
    """The loss as a trainer computes it; the model is left as it was."""
    head = head_of(model)
    before, patched = head.forward, PairHead(head, fused)
    try:
        return patched.wrap(lambda model, inputs: patched.loss(model(**without(inputs, "labels")), inputs["labels"], count))(model, batch)
    finally:
        head.forward = before


def without(values, key):
    return {name: value for name, value in values.items() if name != key}


def plain_loss(model, batch, count=None):
    """The whole batch's logits in fp32, as they are in no training."""
    logits, labels = model(**without(batch, "labels")).logits[:, :-1].float(), batch["labels"][:, 1:]
    total = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum")
    return total / ((labels != -100).sum() if count is None else count)


FUSED = pytest.mark.parametrize("fused", [True, False], ids=["head fused with the loss", "logits of the pairs"])


@FUSED
def test_it_is_the_models_own_loss(model, rows, fused):
    batch = padded(rows)
    assert loss_of(model, batch, fused=fused).item() == pytest.approx(model(**batch).loss.item(), rel=1e-6)


def test_only_the_pairs_that_predict_a_trained_token_are_computed(model, rows, monkeypatch):
    pairs = trained_pairs(padded(rows[:2])["labels"])
    assert pairs.rows.tolist() == [0, 0, 0, 0, 1, 1]
    assert pairs.positions.tolist() == [4, 5, 6, 7, 28, 29], "a union of the positions would give twelve pairs"
    seen = []
    real = chunked._add_up
    monkeypatch.setattr(chunked, "_add_up", lambda hidden, *rest: seen.append(hidden.shape[0]) or real(hidden, *rest))
    loss_of(model, padded(rows))
    assert seen == [sum(trained for _, trained in ROWS)]


BATCHES = st.integers(1, 4).flatmap(
    lambda count: st.lists(st.lists(st.tuples(st.integers(5, 200), st.booleans()), min_size=2, max_size=12), min_size=count, max_size=count)
)


@given(BATCHES, st.booleans(), st.sampled_from([1, 300, 10_000, 1 << 26]))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_mask_has_the_plain_loss_and_its_gradients(model, batch, fused, chunk):
    batch = padded([{"input_ids": [t for t, _ in row], "labels": [t if on else -100 for t, on in row]} for row in batch])
    count = max(int((batch["labels"][:, 1:] != -100).sum()), 1)
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunked, "CHUNK", chunk)
        for loss in (plain_loss(model, batch, count), loss_of(model, batch, count, fused)):
            model.zero_grad()
            loss.backward()
            found.append((loss.item(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])))
    (plain, wanted), (ours, got) = found
    assert ours == pytest.approx(plain, rel=1e-5, abs=1e-6)
    assert (got - wanted).abs().max() <= 1e-5 * wanted.abs().max() + 1e-9


@FUSED
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_as_near_to_fp32_as_the_plain_loss_is(model, rows, fused, dtype):
    """Weights in fp32 under autocast. What counts is the distance from fp32: two ways of rounding differ from each other by as much."""
    batch = padded(rows)

    def of(loss, dtype):
        model.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            value = loss(model, batch)
        value.backward()
        return value.item(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    exact, wanted = of(plain_loss, torch.float32)
    plain, plain_gradient = of(plain_loss, dtype)
    ours, gradient = of(lambda model, batch: loss_of(model, batch, fused=fused), dtype)
    assert abs(ours - exact) <= 2 * abs(plain - exact) + 2e-3
    assert (gradient - wanted).norm() <= 1.1 * (plain_gradient - wanted).norm()


def ten_steps(model, rows, loss):
    trained = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(trained.parameters(), lr=1e-3)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        value = loss(trained, padded(rows))
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


@FUSED
def test_ten_steps_have_the_losses_of_the_plain_path(model, rows, fused):
    plain = ten_steps(model, rows, plain_loss)
    assert ten_steps(model, rows, lambda model, batch: loss_of(model, batch, fused=fused)) == pytest.approx(plain, rel=1e-4)
    assert plain[-1] < plain[0] - 0.1, "the steps learn, or equal losses would show nothing"


def test_an_adapters_gradients_are_those_of_the_plain_path(model, rows):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(3)
    conv1d = model.config.model_type == "gpt2"
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, fan_in_fan_out=conv1d)
    adapted = get_peft_model(copy.deepcopy(model), config)
    found = []
    for loss in (plain_loss, loss_of):
        adapted.zero_grad()
        loss(adapted, padded(rows)).backward()
        found.append(torch.cat([p.grad.flatten() for p in adapted.parameters() if p.grad is not None]))
    assert head_makes_the_logits(adapted, head_of(adapted))
    assert (found[0] - found[1]).abs().max() < 1e-5 * found[0].abs().max()


def test_logits_that_the_model_changes_after_the_head_are_not_fused(model, rows):
    """As Gemma caps them and Cohere scales them."""
    assert head_makes_the_logits(model, head_of(model))

    def halve(module, inputs, output):
        output.logits = output.logits / 2
        return output

    hook = model.register_forward_hook(halve)
    try:
        assert not head_makes_the_logits(model, head_of(model))
        batch = padded(rows)
        assert loss_of(model, batch, fused=False).item() == pytest.approx(plain_loss(model, batch).item(), rel=1e-6)
    finally:
        hook.remove()


def test_the_logits_of_a_batch_never_exist_at_once(model, rows, monkeypatch):
    words, weight = model.config.vocab_size, head_of(model).weight.data_ptr()
    monkeypatch.setattr(chunked, "CHUNK", 3 * words)
    rows_of_logits = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor) and result.shape[-1:] == (words,) and result.data_ptr() != weight:
                rows_of_logits.append(result.numel() // words)
            return result

    with Watch():
        loss_of(model, padded(rows)).backward()
    assert max(rows_of_logits) == 3


def gradients(model, batches):
    count = sum((batch["labels"][:, 1:] != -100).sum() for batch in batches)
    model.zero_grad()
    losses = [loss_of(model, batch, count) for batch in batches]
    sum(losses).backward()
    return sum(losses).item(), torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


def test_gradient_accumulation_equals_one_batch(model, rows):
    loss, whole = gradients(model, [padded(rows)])
    for cut in ([rows[:2], rows[2:4], rows[4:]], [[row] for row in rows]):
        parts_loss, parts = gradients(model, [padded(part) for part in cut])
        assert parts_loss == pytest.approx(loss, rel=1e-6)
        assert (parts - whole).abs().max() < 1e-5 * whole.abs().max(), "another order of summing in fp32"
    means = [model(**padded(part)).loss for part in (rows[:2], rows[2:4], rows[4:])]
    assert abs(sum(means).item() / 3 - loss) > 1e-3, "the mean of the micro-batches' means is another number"


@pytest.mark.parametrize("flatten", [False, True], ids=["blocks side by side", "blocks in one row"])
def test_packed_rows_have_the_loss_and_the_gradients_of_each_alone(model, rows, flatten):
    loss, alone = gradients(model, [padded([row]) for row in rows])
    blocks = packed(rows, 40)
    assert len(blocks) == 3 and sum(len(block["input_ids"]) for block in blocks) == sum(tokens for tokens, _ in ROWS)
    batch = BlockCollator(SimpleNamespace(pad_token_id=0), flatten)([dict(block) for block in blocks])
    assert batch["input_ids"].shape[0] == (1 if flatten else 3)
    packed_loss, gradient = gradients(model, [batch])
    assert packed_loss == pytest.approx(loss, abs=1e-5)
    assert (gradient - alone).abs().max() < 1e-5 * alone.abs().max()


@FUSED
def test_a_batch_without_targets_has_no_loss(model, rows, fused):
    batch = padded([{**rows[0], "labels": [-100] * 9}])
    loss = loss_of(model, batch, fused=fused)
    loss.backward()
    assert loss.item() == 0


class Trainer:
    """The attributes of transformers' Trainer that are set."""

    compute_loss_func = label_smoother = None
    model_accepts_loss_kwargs = _loss_shifts_labels = False
    args = SimpleNamespace(n_gpu=0)
    accelerator = SimpleNamespace(autocast=nullcontext)

    def __init__(self, model):
        self.model = model

    def compute_loss(self, model, inputs):
        return inputs


CFG = SimpleNamespace(plugins=["ours"], context_parallel_size=None, deepspeed=None, fsdp_config=None)


def test_a_trainer_gets_this_loss_and_the_pairs(model, rows):
    trainer = Trainer(copy.deepcopy(model))
    set_up_trainer(CFG, trainer)
    assert trainer._loss_shifts_labels
    inputs = trainer.compute_loss(trainer.model, padded(rows))
    assert inputs["labels"].shape == (1, sum(trained for _, trained in ROWS))
    batch = without(padded(rows), "labels")
    assert torch.equal(trainer.model(**batch).logits, model(**batch).logits), "generation and probes see every position"


def test_a_model_that_names_no_head_has_the_loss_over_every_position(model, rows, monkeypatch):
    found = copy.deepcopy(model)
    monkeypatch.setattr(type(found), "get_output_embeddings", lambda self: None)
    trainer = Trainer(found)
    set_up_trainer(CFG, trainer)
    inputs = trainer.compute_loss(found, padded(rows))
    assert trainer.compute_loss_func is token_loss and inputs["labels"].shape == inputs["input_ids"].shape
    labels = inputs.pop("labels")
    assert token_loss(found(**inputs), labels).item() == pytest.approx(model(**padded(rows)).loss.item(), rel=1e-6)


def test_a_sharded_models_head_is_used_by_the_model_alone(model):
    trainer = Trainer(copy.deepcopy(model))
    set_up_trainer(SimpleNamespace(**vars(CFG) | {"fsdp_config": {"offload_params": False}}), trainer)
    assert not trainer.compute_loss_func.__self__.fused


def test_the_loss_is_ours_next_to_ligers_layers_and_the_models_own_next_to_an_experts_balance(model):
    trainer = Trainer(copy.deepcopy(model))
    set_up_trainer(SimpleNamespace(**vars(CFG) | {"plugins": ["axolotl.integrations.liger.LigerPlugin", "ours"]}), trainer)
    assert trainer.compute_loss_func.__self__.fused
    trainer = Trainer(copy.deepcopy(model))
    trainer.model.config.output_router_logits = True
    set_up_trainer(CFG, trainer)
    assert trainer.compute_loss_func is None and trainer.model_accepts_loss_kwargs


@pytest.mark.parametrize("changes", [{"label_smoother": object()}, {"compute_loss_func": len}])
def test_a_requested_loss_is_kept(model, changes):
    trainer = Trainer(model)
    vars(trainer).update(changes)
    set_up_trainer(CFG, trainer)
    assert trainer.compute_loss_func is changes.get("compute_loss_func")
