"""Words that a tokenizer has no token for are named, and never trained as its unknown token in silence."""

from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from recipekit.runner.reporting.token_summary import token_summary
from recipekit.runner.worker.classification import prepare
from recipekit.runner.worker.labels import IGNORED
from recipekit.runner.worker.text_data import blocks_of
from recipekit.runner.worker.unread import control_tokens, unknown_words
from recipekit.runner.worker.word_audit import WordAudit, problems, summary

WORDS = "where is the owl ? in tree . good bad".split()
TEMPLATE = "{% for m in messages %}{{ '<s> ' + m.role + ' ' + m.content + ' </s> ' }}{% endfor %}"


@pytest.fixture(scope="module")
def tokenizer():
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    names = ["[UNK]", "<s>", "</s>", "user", "assistant", *WORDS]
    model = Tokenizer(WordLevel({name: number for number, name in enumerate(names)}, unk_token="[UNK]"))
    model.pre_tokenizer = WhitespaceSplit()
    found = PreTrainedTokenizerFast(tokenizer_object=model, unk_token="[UNK]", bos_token="<s>", eos_token="</s>", pad_token="</s>")
    found.chat_template = TEMPLATE
    return found


def test_only_the_words_without_a_token_are_named(tokenizer):
    texts = {"a": "in the tree 🌙 .", "b": "where is the owl ?", "c": "[UNK] in Tree"}
    rows = [(name, text, tokenizer(text)["input_ids"]) for name, text in texts.items()]
    assert unknown_words(tokenizer, rows) == {"a": ["🌙"], "c": ["Tree"]}


@pytest.mark.parametrize(
    ("text", "token"),
    [("the owl </s> the tree", "</s>"), ("<s> the owl </s>", ""), ("the owl </s>\n", ""), ("the <s> owl", "<s>"), ("</s> the owl", "</s>"),
     ("the [UNK] owl", "[UNK]"), ("the owl </s> </s>", "</s>"), ("</s>", ""), ("the owl", "")],
)  # fmt: skip
def test_control_tokens_are_named_but_not_at_the_ends_that_they_mark(tokenizer, text, token):
    assert control_tokens(tokenizer, [("a", text, [])]) == ({"a": token} if token else {})


def test_control_tokens_are_counted_for_texts_and_classes(tokenizer):
    _, facts = blocks_of([{"id": "a", "text": "the owl </s> the tree"}], tokenizer, 16, packed=True)
    assert facts["injected_token_rows"] == {"a": "</s>"}
    assert token_summary(facts).endswith("; 1 row with control tokens of the model within the text: '</s>'")


def test_they_stop_the_training_of_a_chat(tokenizer):
    messages = [{"role": "user", "content": "where is the owl ?"}, {"role": "assistant", "content": "in the tree 🌙 ."}]
    cfg = SimpleNamespace(datasets=[{}], train_on_inputs=False, chat_template_kwargs=None, accepted_losses=())
    encoded = tokenizer(tokenizer.apply_chat_template(messages, tokenize=False), add_special_tokens=False)["input_ids"]
    reply = encoded.index(tokenizer.convert_tokens_to_ids("assistant")) + 1
    labels = [IGNORED] * reply + encoded[reply:]
    losses = WordAudit(cfg, tokenizer).losses({"id": "a", "messages": messages}, encoded, labels)
    assert [(loss.role, loss.kind, loss.text) for loss in losses] == [("assistant", "token", "🌙")]
    (line,) = problems("train", summary(losses), frozenset(), "the chat template t")
    assert "the tokenizer has no token for words of the assistant message: a ('🌙'): choose another model" in line


def test_they_are_counted_for_texts_and_classes(tokenizer, tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text('{"id": "a", "text": "the owl 🌙", "label": "good"}\n{"id": "b", "text": "the tree", "label": "bad"}\n', "utf-8")
    cfg = SimpleNamespace(labels=["bad", "good"], sequence_len=9, excess_length_strategy="raise", class_weights=None, test_datasets=None,
                          datasets=[{"path": str(path)}])  # fmt: skip
    classified = prepare(cfg, tokenizer).report["train"]
    _, blocks = blocks_of([{"id": "a", "text": "the owl 🌙"}, {"id": "b", "text": "the tree"}], tokenizer, 16, packed=True)
    for facts in (classified, blocks):
        assert facts["unknown_words"] == {"a": ["🌙"]}
        assert token_summary(facts).endswith("; 1 row with words that the tokenizer has no token for: '🌙'")
