"""The head, the loss and the batches of a classifier, on a real tiny Llama."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from recipekit.runner.worker.classification import class_weights, collator, prepare_head, row_loss, set_padding

LABELS = ["sad", "glad", "mad"]


def classifier(folder, **options):
    return transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3, **options)


@pytest.fixture
def model(tiny_model):
    found = classifier(tiny_model)
    prepare_head(SimpleNamespace(labels=LABELS, seed=1), found)
    return found


@pytest.fixture
def tokenizer(tiny_model):
    return transformers.AutoTokenizer.from_pretrained(tiny_model)


def test_the_labels_are_named_in_the_configuration(model):
    assert model.config.id2label == {0: "sad", 1: "glad", 2: "mad"}
    assert model.config.label2id == {"sad": 0, "glad": 1, "mad": 2}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_the_head_is_drawn_from_the_seed_in_every_precision(tiny_model, dtype):
    heads = []
    for seed in (1, 1, 2):
        model = classifier(tiny_model, dtype=dtype)
        model.score.weight.data.fill_(float("nan"))  # as memory may have been
        prepare_head(SimpleNamespace(labels=LABELS, seed=seed), model)
        heads.append(model.score.weight.detach().float())
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert 0.01 < heads[0].std() < 0.03


def test_a_head_that_was_trained_for_these_labels_is_kept(model):
    model.config.architectures = ["LlamaForSequenceClassification"]  # as a saved classifier says of itself
    before = model.score.weight.detach().clone()
    prepare_head(SimpleNamespace(labels=LABELS, seed=99), model)
    assert torch.equal(model.score.weight, before)
    assert prepare_head(SimpleNamespace(labels=["x", "y", "z"], seed=99), model) == (
        "the base model classifies sad, glad, mad: its head begins anew for x, y, z"
    )
    assert not torch.equal(model.score.weight, before)


def test_a_head_that_was_trained_for_the_labels_in_another_order_is_put_in_theirs(model, tokenizer):
    model.config.architectures = ["LlamaForSequenceClassification"]
    ids = tokenizer("The cat sleeps.", return_tensors="pt")
    before = dict(zip(LABELS, model.eval()(**ids).logits[0].tolist(), strict=True))
    assert prepare_head(SimpleNamespace(labels=["glad", "mad", "sad"], seed=99), model) == ""
    assert dict(zip(["glad", "mad", "sad"], model(**ids).logits[0].tolist(), strict=True)) == before
    assert model.config.id2label == {0: "glad", 1: "mad", 2: "sad"}


@pytest.mark.parametrize("trained", [True, False])
def test_a_head_of_several_layers_begins_anew_where_it_is_for_other_labels(trained):
    config = transformers.RobertaConfig(vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
                                        num_labels=3, architectures=["RobertaFor" + ("SequenceClassification" if trained else "MaskedLM")])  # fmt: skip
    model = transformers.RobertaForSequenceClassification(config)
    model.classifier.out_proj.weight.data.fill_(float("nan"))  # as memory may have been
    dense = model.classifier.dense.weight.detach().clone()
    prepare_head(SimpleNamespace(labels=LABELS, seed=1), model)
    assert 0.01 < model.classifier.out_proj.weight.std() < 0.03
    assert torch.equal(model.classifier.dense.weight, dense) == trained, "what a trained head reads of a text is kept"


def test_padding_does_not_change_what_a_row_is_taken_for(model, tokenizer):
    set_padding(model, tokenizer)
    kind, options = collator(tokenizer, None)
    rows = [tokenizer(text) for text in ("The cat sleeps.", "Where does the very old dog sleep at night?")]
    for row in rows:
        row["labels"] = 1
    batch = kind(tokenizer, return_tensors="pt", **options)([dict(row) for row in rows])
    assert batch["attention_mask"][0].tolist() == sorted(batch["attention_mask"][0].tolist(), reverse=True), "padding is on the right"
    model.eval()
    together = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    alone = torch.cat([model(input_ids=torch.tensor([row["input_ids"]])).logits for row in rows])
    assert torch.allclose(together, alone, atol=1e-5)


def test_balanced_weights_are_scikit_learns():
    import numpy as np
    from sklearn.utils.class_weight import compute_class_weight

    found = [0] * 7 + [1] * 2 + [2]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=np.array(found)).tolist()
    assert class_weights("balanced", LABELS, found) == pytest.approx(expected)


def test_weights_by_label_come_in_the_order_of_the_labels():
    assert class_weights({"mad": 3, "sad": 1, "glad": 2}, LABELS, []) == [1.0, 2.0, 3.0]
    assert class_weights(None, LABELS, [0]) is None


@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 4.0]], ids=["equal", "weighted"])
def test_one_batch_of_eight_and_two_of_four_have_the_same_gradient(weights):
    torch.manual_seed(0)
    features, labels = torch.randn(8, 5), torch.tensor([0, 0, 0, 1, 2, 2, 2, 2])
    gradients = []
    for size in (8, 4, 1):
        head = torch.nn.Linear(5, 3)
        torch.nn.init.constant_(head.weight, 0.1)
        torch.nn.init.zeros_(head.bias)
        for start in range(0, 8, size):
            outputs = SimpleNamespace(logits=head(features[start : start + size]))
            row_loss(weights)(outputs, labels[start : start + size], num_items_in_batch=torch.tensor(8)).backward()
        gradients.append(head.weight.grad)
    assert all(torch.allclose(gradient, gradients[0], atol=1e-6) for gradient in gradients)


def test_a_row_counts_as_its_labels_weight():
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 2])
    plain = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    loss = row_loss([1.0, 2.0, 5.0])(SimpleNamespace(logits=logits), labels)
    assert loss.item() == pytest.approx(((plain * torch.tensor([1.0, 2.0, 5.0, 5.0])).sum() / 4).item())
