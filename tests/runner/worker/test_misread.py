"""What a tokenizer changes is named with its rows, and what it leaves out stops a chat: the model learns what the tokens spell."""

from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from recipekit.runner.reporting.token_summary import token_summary
from recipekit.runner.worker.classification import prepare
from recipekit.runner.worker.label_audit import audit_problems, row_facts
from recipekit.runner.worker.labels import IGNORED
from recipekit.runner.worker.text_data import blocks_of
from recipekit.runner.worker.unread import misread

TEXT = "Hello, the owl sleeps.\nWhere?"
TEMPLATE = "{% for m in messages %}{{ '<s>' + m.role + ' ' + m.content + '</s>' }}{% endfor %}"


@pytest.fixture(scope="module")
def tokenizer_of():
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    forms = {
        "small": normalizers.Lowercase(), "NFKC": normalizers.NFKC(), "NFC": normalizers.NFC(),
        "blanks": normalizers.Replace(Regex(r"\s+"), " "), "accents": normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]),
        "bytes": None, "no bytes": None,
    }  # fmt: skip

    def build(kind):
        model = Tokenizer(models.BPE())  # without an unknown token, it leaves out what it has no token for
        in_bytes = kind != "no bytes"
        model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False) if in_bytes else pre_tokenizers.Metaspace()
        model.decoder = decoders.ByteLevel() if in_bytes else decoders.Metaspace()
        if forms[kind]:
            model.normalizer = forms[kind]
        letters = pre_tokenizers.ByteLevel.alphabet() if in_bytes else []
        trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<s>", "</s>", "<pad>"], initial_alphabet=letters)
        model.train_from_iterator([TEXT, "user assistant good bad"], trainer)
        found = PreTrainedTokenizerFast(tokenizer_object=model, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
        found.chat_template = TEMPLATE
        return found

    return build


@pytest.mark.parametrize(
    ("kind", "text", "named"),
    [("small", TEXT, "'Hello,' as 'hello,'"), ("small", "where?", ""), ("NFKC", "an owl，here", "'owl，here' as 'owl,here'"),
     ("blanks", TEXT, r"'\n' as ' '"), ("blanks", "an  owl ", ""), ("accents", "an old café", "'café' as 'cafe'"), ("bytes", "Ünder 🌙，\n", ""),
     ("NFC", "cafe\u0301", ""), ("bytes", "<s>Hello</s>", ""), ("no bytes", TEXT, ""), ("no bytes", "the 🌙 owl", "'🌙' as ''")],
)  # fmt: skip
def test_the_first_word_that_is_changed_is_named_with_what_is_read(tokenizer_of, kind, text, named):
    tokenizer = tokenizer_of(kind)
    found = misread(tokenizer, text, tokenizer(text)["input_ids"])
    assert str(found or "") == named and (found is None or found.vanishes == named.endswith("as ''"))


def facts_of(tokenizer, reply):
    messages = [{"role": "user", "content": "the owl"}, {"role": "assistant", "content": reply}]
    cfg = SimpleNamespace(datasets=[{}], train_on_inputs=False, chat_template_kwargs=None, accepted_losses=(), eot_tokens=None,
                          excess_length_strategy="raise", sequence_len=64, template_name="the template")  # fmt: skip
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    reply_at = text.rindex("assistant ") + len("assistant ")
    labels = [
        number if end > reply_at else IGNORED for number, (_, end) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]
    tokenised = [{"id": "a", "input_ids": encoded["input_ids"], "labels": labels}]
    facts = row_facts(cfg, tokenizer, [{"id": "a", "messages": messages}], tokenised)
    return facts, audit_problems({"train": facts}, cfg)


def test_a_chat_whose_words_are_changed_is_trained_and_named(tokenizer_of):
    facts, problems = facts_of(tokenizer_of("small"), "Hello, owl")
    assert not problems and facts["misread_rows"] == {"a": "'Hello,' as 'hello,'"} and not facts["losses"]
    assert token_summary(facts).endswith("; 1 row with words that the tokenizer changes: 'Hello,' as 'hello,'")
    assert not facts_of(tokenizer_of("bytes"), "Hello, 🌙")[0]["misread_rows"]


def test_a_word_of_a_chat_that_is_left_out_stops_the_training(tokenizer_of):
    _, problems = facts_of(tokenizer_of("no bytes"), "the 🌙 owl")
    assert "the tokenizer has no token for words of the assistant message: a ('🌙')" in problems[0]


def test_changed_words_are_counted_for_texts_and_classes_but_not_in_rows_that_were_cut(tokenizer_of, tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text('{"id": "a", "text": "The owl", "label": "good"}\n{"id": "b", "text": "the owl sleeps", "label": "bad"}\n', "utf-8")
    tokenizer = tokenizer_of("small")
    cfg = SimpleNamespace(labels=["bad", "good"], sequence_len=len(tokenizer("the owl")["input_ids"]), excess_length_strategy="truncate",
                          class_weights=None, test_datasets=None, datasets=[{"path": str(path)}])  # fmt: skip
    classified = prepare(cfg, tokenizer).report["train"]
    _, blocks = blocks_of([{"id": "a", "text": "The owl"}, {"id": "b", "text": "the owl"}], tokenizer, 16, packed=True)
    for facts in (classified, blocks):
        assert facts["misread_rows"] == {"a": "'The' as 'the'"}
        assert token_summary(facts).endswith("; 1 row with words that the tokenizer changes: 'The' as 'the'")
