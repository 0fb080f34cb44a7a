"""The loss over a step's trained tokens, on real tiny models: as the models' own, however the rows are batched, padded or packed."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from recipekit.runner.worker.chat_data import packed  # noqa: E402
from recipekit.runner.worker.loss import set_up_trainer, shift_labels, token_loss  # noqa: E402
from recipekit.runner.worker.text_data import BlockCollator  # noqa: E402

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


def loss_of(model, batch, count=None, selects=True):
    given = {**batch, **shift_labels(batch["labels"], selects)}
    labels = given.pop("labels")
    return token_loss(model(**given), labels, count)


@pytest.mark.parametrize("selects", [True, False], ids=["chosen positions", "every position"])
def test_it_is_the_models_own_loss(model, rows, selects):
    batch = padded(rows)
    assert loss_of(model, batch, selects=selects).item() == pytest.approx(model(**batch).loss.item(), rel=1e-6)


def test_only_the_positions_that_predict_a_trained_token_are_computed(model, rows):
    given = shift_labels(padded(rows[:1])["labels"], selects=True)
    assert given["logits_to_keep"].tolist() == [4, 5, 6, 7]
    assert given["labels"].tolist() == [rows[0]["input_ids"][5:]]
    assert model(input_ids=torch.tensor([rows[0]["input_ids"]]), logits_to_keep=given["logits_to_keep"]).logits.shape[1] == 4


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


def test_a_batch_without_targets_has_no_loss(model, rows):
    batch = padded([{**rows[0], "labels": [-100] * 9}])
    assert loss_of(model, batch).item() == 0


class Trainer:
    """The attributes of transformers' Trainer that are set."""

    compute_loss_func = label_smoother = None
    model_accepts_loss_kwargs = _loss_shifts_labels = False
    args = SimpleNamespace(n_gpu=0)

    def __init__(self, model):
        self.model = model

    def compute_loss(self, model, inputs):
        return inputs


def test_a_trainer_gets_this_loss_and_the_positions(model, rows):
    trainer = Trainer(model)
    set_up_trainer(SimpleNamespace(plugins=["ours"], context_parallel_size=None), trainer)
    assert trainer.compute_loss_func is token_loss and trainer._loss_shifts_labels
    assert "logits_to_keep" in trainer.compute_loss(model, padded(rows))


def test_another_plugins_loss_is_left_alone(model):
    trainer = Trainer(model)
    set_up_trainer(SimpleNamespace(plugins=["ours", "axolotl.integrations.liger.LigerPlugin"], context_parallel_size=None), trainer)
    assert trainer.compute_loss_func is None and trainer.model_accepts_loss_kwargs


@pytest.mark.parametrize("changes", [{"label_smoother": object()}, {"compute_loss_func": len}])
def test_a_loss_that_somebody_asked_for_is_kept(model, changes):
    trainer = Trainer(model)
    vars(trainer).update(changes)
    set_up_trainer(SimpleNamespace(plugins=["ours"], context_parallel_size=None), trainer)
    assert trainer.compute_loss_func is changes.get("compute_loss_func")
