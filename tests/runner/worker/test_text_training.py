"""Blocks in real tiny models: documents that share one do not see each other, and the proof of it can fail."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from recipekit.runner.worker.callback import block_tokens
from recipekit.runner.worker.packing import Piece, block_of, document_ids, pieces
from recipekit.runner.worker.text_data import BlockCollator, first_shared, reads_documents_apart

from ...support.tiny import text_rows


@pytest.fixture(scope="module", params=["tiny_gpt2", "tiny_model"])
def parts(request):
    """A model of each architecture and its tokenizer."""
    folder = request.getfixturevalue(request.param)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa").eval()
    model.config.use_cache = False  # as the plugin sets it
    return model, transformers.AutoTokenizer.from_pretrained(folder)


@pytest.fixture
def documents(parts) -> list[Piece]:
    found = [pieces(document_ids(text, parts[1]), 128) for text in text_rows(4)]
    assert all(len(document) == 1 for document in found)
    return [document[0] for document in found]


class Leaking(torch.nn.Module):
    """The model as it would be if it took no notice of positions: one document after another is one text to it."""

    def __init__(self, model):
        super().__init__()
        self.model, self.config, self.device = model, model.config, model.device

    def forward(self, input_ids, position_ids=None):
        return self.model(input_ids=input_ids)


def loss_sum(model, batch) -> float:
    logits = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"]).logits[:, :-1]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"][:, 1:].flatten(), reduction="sum").item()


def collated(tokenizer, *blocks):
    return BlockCollator(tokenizer)([{key: list(value) for key, value in block.items()} for block in blocks])


@torch.inference_mode()
def test_the_loss_of_packed_documents_is_that_of_each_alone(parts, documents):
    model, tokenizer = parts
    tokenizer.pad_token = tokenizer.eos_token
    alone = sum(loss_sum(model, collated(tokenizer, block_of([piece]))) for piece in documents)
    packed = loss_sum(model, collated(tokenizer, block_of(documents[:3]), block_of(documents[3:])))
    assert packed == pytest.approx(alone, rel=1e-5)
    leaking = loss_sum(Leaking(model), collated(tokenizer, block_of(documents)))
    assert abs(leaking - alone) > 1e-4 * alone, "the comparison can tell a leak"


@pytest.mark.parametrize("rows", [1, 3])
def test_documents_of_a_block_are_apart(parts, documents, rows):
    assert reads_documents_apart(parts[0], block_of(documents), rows)


def test_attention_across_documents_is_detected(parts, documents):
    assert not reads_documents_apart(Leaking(parts[0]), block_of(documents), 1)


@pytest.mark.parametrize("family", ["marian", "pegasus", "bart"])
def test_a_decoder_that_takes_no_notice_of_positions_is_detected_with_weights_that_hardly_attend(family):
    """Fresh ones of an encoder-decoder's decoder: what leaks is less than a thousandth of the logits, but each position has its own vector."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(
        family, d_model=32, decoder_layers=2, encoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=32, encoder_ffn_dim=32,
        vocab_size=64, decoder_vocab_size=64, max_position_embeddings=64, pad_token_id=0, eos_token_id=2, decoder_start_token_id=0,
        is_decoder=True, is_encoder_decoder=False, use_cache=False,
    )  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_config(config)
    rows = [Piece(list(range(start, start + 9)), [-100] * 9) for start in (3, 20)]
    assert not reads_documents_apart(model, block_of(rows), 1)


def test_with_a_cache_documents_see_each_other_and_that_is_found_out(parts, documents):
    model, _ = parts
    model.config.use_cache = True
    assert not reads_documents_apart(model, block_of(documents), 1)
    model.config.use_cache = False


def test_the_check_does_not_change_the_model(parts, documents):
    model, _ = parts
    model.train()
    reads_documents_apart(model, block_of(documents), 1)
    assert model.training
    model.eval()


def test_padding_trains_nothing_and_is_a_document_of_its_own(parts, documents):
    _, tokenizer = parts
    tokenizer.pad_token = tokenizer.eos_token
    batch = collated(tokenizer, block_of(documents[:2]), block_of(documents[:1]))
    short = len(documents[0].input_ids)
    missing = batch["labels"].shape[1] - short
    assert set(batch) == {"input_ids", "labels", "position_ids"}, "an attention mask would let documents see each other"
    assert batch["labels"][1, short:].tolist() == [-100] * missing
    assert batch["position_ids"][1, short:].tolist() == list(range(missing))


def test_the_first_block_with_two_documents_is_the_one_to_try():
    one, two = Piece([1, 2], [-100, 2]), Piece([3, 4], [-100, 4])
    assert first_shared([block_of([one]), block_of([two, one])]) == block_of([two, one])
    assert first_shared([block_of([one])]) is None


def test_the_document_check_leaves_trainable_caches(parts, documents):
    model, _ = parts
    cached = []
    hook = model.get_input_embeddings().register_forward_hook(lambda module, inputs, output: cached.append(output))
    reads_documents_apart(model, block_of(documents), 1)
    hook.remove()
    assert cached and not any(tensor.is_inference() for tensor in cached)


def test_every_token_of_a_block_is_counted_and_no_padding(parts, documents):
    _, tokenizer = parts
    tokenizer.pad_token = tokenizer.eos_token
    masked = [Piece(piece.input_ids, [-100] * (len(piece.labels) - 2) + piece.labels[-2:]) for piece in documents]
    for pieces_of in (documents, masked):
        batch = collated(tokenizer, block_of(pieces_of[:2]), block_of(pieces_of[:1]))
        assert int(block_tokens(batch)) == sum(len(piece.input_ids) for piece in [*pieces_of[:2], pieces_of[0]])
