"""What the evaluation asks a model for, and compares its reply with."""

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
from recipekit.runner.worker import evaluate
from recipekit.runner.worker.evaluate import last_trained
from recipekit.runner.worker.labels import IGNORED
from recipekit.schemas.evaluation_sections import without_reasoning

from ...support.jsonl import write_jsonl
from ...support.tiny import TEMPLATE, build_tokenizer

TURNS = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]


@pytest.mark.parametrize(
    ("trains", "roles", "reference"),
    [
        ({}, ["assistant"], "d"),
        ({3: False}, ["assistant"], "b"),
        ({1: False, 3: True}, ["assistant"], "d"),
        ({}, ["user"], "c"),
        ({2: True, 3: False}, ["assistant"], "c"),
    ],
)
def test_the_reference_is_the_message_that_the_model_is_asked_for(trains, roles, reference):
    messages = [{"role": role, "content": text} | ({"train": trains[n]} if n in trains else {}) for n, (role, text) in enumerate(TURNS)]
    assert messages[last_trained(messages, roles)]["content"] == reference


@pytest.mark.parametrize(
    ("reply", "left"),
    [("<think>\nhm\n</think>\n\njoy", "joy"), (" <think></think>joy", "joy"), ("joy", "joy"), ("<think>joy", "<think>joy"),
     ("joy <think>a</think>", "joy <think>a</think>")],
)  # fmt: skip
def test_where_reasoning_is_dropped_the_reference_has_none(reply, left):
    """As the template that drops it writes the reply."""
    jinja2 = pytest.importorskip("jinja2")
    from recipekit.runner.models.chat_templates import DROP_REASONING

    template = jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(DROP_REASONING + "{{ messages[0].content }}")
    assert without_reasoning(reply) == left == template.render(messages=[{"role": "assistant", "content": reply}])


def test_a_row_that_was_cut_is_asked_for_its_last_reply(tmp_path, monkeypatch):
    """Cut in the second question, its last trained tokens are those of the first reply."""
    messages = [{"role": role, "content": text} for role, text in TURNS]
    fast: Any = build_tokenizer(["a b c d"], eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = TEMPLATE
    ids = fast.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"]
    start = ids.index(fast.convert_tokens_to_ids("b"))
    cut = ids[: start + 4]
    labels = [token if start <= at < start + 2 else IGNORED for at, token in enumerate(cut)]
    cfg = SimpleNamespace(excess_length_strategy="truncate", sequence_len=len(cut), datasets=[{}], accepted_losses=None,
                          template_name="tiny", chat_template_kwargs=None, train_on_inputs=False)  # fmt: skip
    monkeypatch.setattr(evaluate, "tokenise", lambda *_: [{"id": "x", "input_ids": cut, "labels": labels}])
    (row,) = evaluate._prepared(cfg, fast, write_jsonl(tmp_path / "rows.jsonl", [{"id": "x", "messages": messages}]))
    assert row["reference"] == "d"
    assert fast.decode(row["prompt_ids"]).endswith("<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n")
    assert row["pieces"][0].input_ids == cut


def test_a_reply_ends_with_the_models_positions(tiny_gpt2):
    """A GPT-2 has no positions beyond its 128: its evaluation would fail, after the training."""
    from recipekit.runner.models.reference import resolve_target
    from recipekit.runner.worker.loading import load

    loaded = load(resolve_target(str(tiny_gpt2), tiny_gpt2))._replace(stop_ids=frozenset())
    settings = {"max_new_tokens": 6, "temperature": 0.0, "top_p": 1.0, "seed": 1}
    rows = [{"id": str(length), "prompt_ids": [5] * length} for length in (20, 126)]
    assert [reply["reply_tokens"] for reply in evaluate.replies_of(loaded, rows, settings, lambda replies: None)] == [6, 2]


def test_the_memory_of_the_base_is_free_when_a_tuned_model_of_its_size_is_loaded(tiny_model, monkeypatch):
    """A training that several GPUs shared is evaluated on one of them, which may not hold two models."""
    kept, devices = [], []

    def load(reference, **options):
        devices.append([{weight.device.type for weight in one.model.parameters()} for one in kept])
        kept.append(real(reference._replace(base=str(tiny_model), tokenizer=str(tiny_model)), device="cpu"))
        return kept[-1]

    real = evaluate.load
    monkeypatch.setattr(evaluate, "load", load)
    keys = dict.fromkeys(("adapter", "labels", "record_type", "revision_of_model", "trust_remote_code", "attn_implementation", "eot_tokens",
                          "load_in_4bit", "load_in_8bit"))  # fmt: skip
    names = [one.name for one in evaluate.models(SimpleNamespace(base_model=str(tiny_model), **keys), 0)]
    assert names == ["base", "tuned"] and devices == [[], [{"meta"}]]
    assert {weight.device.type for weight in kept[1].model.parameters()} == {"cpu"}
