"""Words are compared with real tokens and labels: of a real tokenizer, with labels written by hand."""

from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from recipekit.runner.models.chat_templates import DROP_REASONING, FOLD_SYSTEM
from recipekit.runner.worker.labels import IGNORED
from recipekit.runner.worker.loading import LoadedModel
from recipekit.runner.worker.tokenization import prompt_ids
from recipekit.runner.worker.word_audit import WordAudit, problems, summary

from ...support.tiny import TEMPLATE, build_tokenizer, emogpt_rows

CHAT = [{"role": "user", "content": "Where is the owl?"}, {"role": "assistant", "content": "In the tall tree 🌙."}]
THOUGHT = {"role": "assistant", "content": "<think>\nHigh.\n</think>\n\nIn the tree."}


@pytest.fixture(scope="module")
def tokenizer():
    texts = (message["content"] for row in emogpt_rows() for message in row["messages"])
    return build_tokenizer(texts, eos_token="<|im_end|>", pad_token="<|endoftext|>", bos_token="<|im_start|>")


@pytest.fixture
def audited(tokenizer):
    """The losses of a chat whose trained characters are those of `trained` (of its replies where nothing is said)."""

    def run(messages, template=TEMPLATE, trained=None, accepted=()):
        tokenizer.chat_template = template
        cfg = SimpleNamespace(datasets=[{"roles_to_train": ["assistant"]}], train_on_inputs=False, chat_template_kwargs=None,
                              accepted_losses=accepted)  # fmt: skip
        text = tokenizer.apply_chat_template(messages, tokenize=False)
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        labels = [IGNORED] * len(encoded["input_ids"])
        for part in [m["content"] for m in messages if m["role"] == "assistant"] if trained is None else trained:
            first = text.index(part)
            for at, (start, end) in enumerate(encoded["offset_mapping"]):
                if start < first + len(part) and end > first:
                    labels[at] = encoded["input_ids"][at]
        row = {"id": "a", "messages": messages}
        return WordAudit(cfg, tokenizer).losses(row, encoded["input_ids"], labels)

    return run


def parts(losses):
    return [(loss.role, loss.kind, loss.text) for loss in losses]


def test_a_chat_that_is_written_and_trained_whole_loses_nothing(audited):
    assert audited(CHAT) == []


def test_a_part_of_a_reply_that_is_masked_is_named(audited):
    assert parts(audited(CHAT, trained=["In the tall tree"])) == [("assistant", "masked", " 🌙.")]


def test_a_question_that_is_trained_is_named(audited):
    assert parts(audited(CHAT, trained=["Where is the owl?", "In the tall tree 🌙."])) == [("user", "unmasked", "Where is the owl?")]


def test_a_masked_reply_must_be_masked(audited):
    chat = [CHAT[0], {**CHAT[1], "train": False}, CHAT[0], {"role": "assistant", "content": "There."}]
    assert audited(chat, trained=["There."]) == []
    assert parts(audited(chat, trained=["There.", "In the tall"])) == [("assistant", "unmasked", "In the tall")]


def test_a_system_message_that_the_template_leaves_out_is_named_word_by_word(audited):
    template = "{% for message in messages if message.role != 'system' %}" + TEMPLATE.partition("%}")[2]
    losses = audited([{"role": "system", "content": "Be brief."}, *CHAT], template)
    assert parts(losses) == [("system", "word", "Be"), ("system", "word", "brief.")]
    (line,) = problems("train", summary(losses), frozenset(), "the chat template t")
    assert line.startswith("in 1 train row the chat template t leaves out words of the system message: a ('Be brief.')")
    assert "data.system_role: fold" in line


def test_a_folded_system_message_is_the_beginning_of_the_first_question(audited, tokenizer):
    assert audited([{"role": "system", "content": "Be brief."}, *CHAT], FOLD_SYSTEM + TEMPLATE) == []
    tokenizer.chat_template = FOLD_SYSTEM + TEMPLATE
    text = tokenizer.apply_chat_template([{"role": "system", "content": "Be brief."}, *CHAT], tokenize=False)
    assert text.startswith("<|im_start|>user\nBe brief.\n\nWhere is the owl?<|im_end|>")


def test_dropped_reasoning_is_counted_and_the_answer_is_trained(audited):
    losses = audited([CHAT[0], THOUGHT], DROP_REASONING + TEMPLATE, trained=["In the tree."], accepted=("reasoning",))
    assert parts(losses) == [("assistant", "reasoning", word) for word in ("<think>", "High.", "</think>")]
    assert list(problems("train", summary(losses), frozenset({"reasoning"}), "t")) == []
    assert len(list(problems("train", summary(losses), frozenset(), "t"))) == 1


def test_white_space_that_is_stripped_is_counted_and_refused_only_where_the_recipe_keeps_it(audited):
    template = TEMPLATE.replace("message['content']", "message['content'].strip()")
    losses = audited([{"role": "user", "content": "\nHi "}, CHAT[1]], template)
    assert parts(losses) == [("user", "whitespace", "\n ")]
    assert list(problems("train", summary(losses), frozenset({"whitespace"}), "t")) == []
    (line,) = problems("train", summary(losses), frozenset(), "the chat template t")
    assert "the chat template t strips white space at the ends of the user message: a ('\\n ')" in line


def test_white_space_inside_a_message_is_never_accepted(audited):
    template = TEMPLATE.replace("message['content']", "' '.join(message['content'].split())")
    losses = audited([{"role": "user", "content": "Hi\n\nthere"}, CHAT[1]], template)
    assert parts(losses) == [("user", "gap", "\n\n")]
    (line,) = problems("train", summary(losses), frozenset({"whitespace", "reasoning"}), "t")
    assert "t leaves out white space inside the user message" in line


def test_a_template_error_names_the_chat(tokenizer):
    tokenizer.chat_template = "{{ raise_exception('only one turn') }}"
    cfg = SimpleNamespace(datasets=[{}], train_on_inputs=False, chat_template_kwargs=None)
    assert WordAudit(cfg, tokenizer).refusals([{"id": "a", "messages": CHAT}]) == {"a": "only one turn"}


@pytest.mark.parametrize(
    "template", [TEMPLATE, FOLD_SYSTEM + TEMPLATE, "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"]
)
def test_a_prompt_has_the_tokens_that_training_puts_before_the_reply(tokenizer, template):
    tokenizer.chat_template = template
    messages = [{"role": "system", "content": "Be brief."}, *CHAT]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    reply = text.index(CHAT[1]["content"])
    before = [number for number, (_, end) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True) if end <= reply]
    assert prompt_ids(tokenizer, messages[:-1]) == before


def test_a_tuned_model_is_asked_with_the_tokens_of_its_training_whatever_its_generation_prompt(tokenizer):
    thinking = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>' }}{% endif %}"
    tokenizer.chat_template = TEMPLATE.partition("{% if add_generation_prompt")[0] + thinking
    tuned, base = (LoadedModel("m", None, tokenizer, frozenset(), 0, 512, "cpu", is_tuned=is_tuned) for is_tuned in (True, False))
    text = tokenizer.apply_chat_template(CHAT, tokenize=False)
    before = tokenizer(text[: text.index(CHAT[1]["content"])], add_special_tokens=False)["input_ids"]
    assert tuned.prompt_ids(CHAT[:1]) == before
    assert base.prompt_ids(CHAT[:1]) != before
