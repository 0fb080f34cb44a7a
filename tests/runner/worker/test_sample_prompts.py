"""Sample prompts answered by tiny models that are real: the replies are those of `recipe predict` and `recipe chat`."""

from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.models.reference import base_of, resolve_target
from recipekit.runner.worker.generation import Reply, generate
from recipekit.runner.worker.loading import load
from recipekit.runner.worker.sample_prompts import answers
from recipekit.runner.worker.tokenization import prompt_ids

GENERATION = {"max_new_tokens": 5, "temperature": 0.7, "top_p": 0.9, "batch_size": 2, "seed": 3}


def asked(texts, **changes):
    return {"texts": texts, "type": "chat", "system": "Be brief.", "generation": GENERATION, **changes}


@pytest.fixture(scope="module")
def models(tuned_run):
    target = resolve_target(str(tuned_run), tuned_run)
    return load(base_of(target)), load(target)


def test_a_reply_does_not_depend_on_the_other_prompts_of_its_batch(models):
    texts = ["Where does the cat sleep?", "Hello owl?", "every day"]
    for loaded in models:
        together = answers(loaded, loaded.tokenizer, asked(texts))
        assert [answer["prompt"] for answer in together] == texts
        alone = answers(loaded, loaded.tokenizer, asked(texts, generation={**GENERATION, "batch_size": 1}))
        assert alone == together
        assert all(0 < answer["reply_tokens"] <= 5 for answer in together)


def test_the_system_prompt_is_that_of_training(models):
    base, tuned = models
    greedy = {**GENERATION, "temperature": 0, "top_p": 1}
    (answer,) = answers(tuned, tuned.tokenizer, asked(["Hello owl?"], generation=greedy))
    ids = prompt_ids(tuned.tokenizer, [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello owl?"}])
    reply = Reply(ids, 5)
    generate(tuned, [reply])
    assert answer["reply"] == tuned.tokenizer.decode(reply.token_ids, skip_special_tokens=True).strip()
    assert answers(base, base.tokenizer, asked(["Hello owl?"], generation=greedy)) != [answer], "the adapter answers otherwise"


def test_a_prompt_without_room_for_a_reply_says_so_and_the_others_are_answered(models):
    _, tuned = models
    long, short = answers(tuned, tuned.tokenizer, asked(["cat sleeps " * 600, "Hello owl?"]))
    assert "the model's limit is 512 including the reply" in long["error"] and "reply" not in long
    assert short["reply_tokens"] > 0


def test_a_template_that_refuses_the_system_prompt_is_reported(models):
    def refuses(messages, **options):
        raise ValueError("no system role")

    tokenizer = SimpleNamespace(apply_chat_template=refuses)
    (answer,) = answers(models[1], tokenizer, asked(["Hi"]))
    assert answer == {"prompt": "Hi", "error": "the model's chat template refuses the messages: no system role"}


def test_a_text_model_continues_the_prompt_as_a_document(tiny_gpt2):
    loaded = load(resolve_target(str(tiny_gpt2), tiny_gpt2))
    (answer,) = answers(loaded, loaded.tokenizer, asked(["Story 1: once"], type="text", system=None))
    assert answer["reply"] and answer["prompt"] == "Story 1: once"
