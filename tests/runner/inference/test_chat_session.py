"""Conversations with real tiny models."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.inference.chat_session import Session, as_json
from recipekit.runner.inference.chat_settings import Settings
from recipekit.runner.inference.chat_start import announce
from recipekit.runner.inference.chat_stream import ChatModel, ReplyStream
from recipekit.runner.models.reference import ModelReference, base_of, resolve_target
from recipekit.runner.worker.loading import LoadedModel, load
from recipekit.schemas.base.errors import UserError

GREEDY = Settings(0.0, 1.0, 1.0, 8, None, None, "")
EARLIER = "<|im_start|>user\nWhere does the cat sleep?<|im_end|>\n<|im_start|>assistant\n"


class RowStore:
    """A screen that keeps what it is shown; it stops looking after `patience` parts, as Ctrl-C does."""

    def __init__(self, patience: int = 10_000) -> None:
        self.made: list[ReplyStream] = []
        self.patience = patience

    def show(self, made: Sequence[ReplyStream], growing: Iterator[ReplyStream]) -> None:
        self.made = list(made)
        for number, stream in enumerate(growing, 1):
            assert stream.text.endswith(stream.part)
            if number == self.patience:
                raise KeyboardInterrupt


@pytest.fixture(scope="module")
def models(tuned_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    target = resolve_target(str(tuned_run), tmp_path_factory.mktemp("none"))
    return {"base": load(base_of(target)), "tuned": load(target)}


@pytest.fixture
def session(models: dict[str, LoadedModel]) -> Iterator[Session]:
    with_one = Session([ChatModel("tuned", models["tuned"])], GREEDY, False, RowStore())
    yield with_one
    with_one.stop()


def prompt_of(session: Session) -> str:
    stream = session.renderer.made[-1]
    return stream.model.served.tokenizer.decode(stream.reply.prompt_ids)


def test_the_history_is_in_the_prompt_until_reset(session: Session) -> None:
    session.respond("Where does the cat sleep?")
    first = session.renderer.made[0].text
    assert prompt_of(session) == EARLIER
    session.respond("And the dog?")
    assert prompt_of(session) == f"{EARLIER}{first.strip()}<|im_end|>\n<|im_start|>user\nAnd the dog?<|im_end|>\n<|im_start|>assistant\n"
    session.reset()
    session.respond("Where does the cat sleep?")
    assert prompt_of(session) == EARLIER
    assert session.renderer.made[0].text == first, "at temperature 0"


def test_a_system_prompt_leads_every_prompt_until_it_is_taken_away(session: Session) -> None:
    session.set_system("Be brief.")
    session.respond("Hello")
    assert prompt_of(session).startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello")
    assert session.set_system("") == "system prompt: none"
    session.respond("Hello again")
    assert prompt_of(session).startswith("<|im_start|>user\nHello<|im_end|>")


def test_base_and_tuned_model_answer_the_same_prompt(models: dict[str, LoadedModel]) -> None:
    session = Session([ChatModel(name, served) for name, served in models.items()], GREEDY, False, RowStore())
    session.respond("Where does the owl sleep?")
    base, tuned = session.renderer.made
    assert (base.model.name, tuned.model.name) == ("base", "tuned")
    assert base.reply.prompt_ids == tuned.reply.prompt_ids
    assert base.text != tuned.text
    assert session.messages[-1] == {"role": "assistant", "content": tuned.text.strip()}
    session.stop()


def test_a_stopped_reply_is_kept_in_the_history(models: dict[str, LoadedModel]) -> None:
    session = Session([ChatModel("tuned", models["tuned"])], GREEDY._replace(max_new_tokens=400), False, RowStore(patience=3))
    with pytest.raises(KeyboardInterrupt):
        session.respond("Hello")
    (stream,) = session.renderer.made
    assert stream.finish == "cancelled" and stream.reply.cancelled
    assert session.messages[-1]["content"] == stream.text.strip()
    session.stop()
    assert len(stream.reply.token_ids) < 400


def test_the_same_seed_gives_the_same_reply_and_no_seed_another(models: dict[str, LoadedModel]) -> None:
    model, texts = ChatModel("tuned", models["tuned"]), {}
    for seed in (7, 7, None, None):
        session = Session([model], GREEDY._replace(temperature=1.0, max_new_tokens=24, seed=seed), False, RowStore())
        session.respond("Hello")
        texts.setdefault(seed, []).append(session.renderer.made[0].text)
        assert seed is None or as_json(session.renderer.made[0])["seed"] == seed
    model.batcher.stop()
    assert texts[7][0] == texts[7][1]
    assert texts[None][0] != texts[None][1]


def test_a_reply_as_json_counts_its_tokens(session: Session) -> None:
    session.respond("Where does the bee sleep?")
    (stream,) = session.renderer.made
    found = as_json(stream)
    assert found["model"] == "tuned" and found["reply"] == stream.text
    assert found["finish_reason"] in ("stop", "length")
    assert found["usage"]["prompt_tokens"] == len(stream.reply.prompt_ids)
    assert found["usage"]["completion_tokens"] == len(stream.reply.token_ids) <= 8


def test_a_conversation_that_leaves_no_room_is_refused_and_not_remembered(session: Session) -> None:
    with pytest.raises(UserError, match="the model's context is 512 including the reply"):
        session.respond("cat " * 600)
    assert session.messages == []


def test_a_reply_stops_where_the_models_context_ends(session: Session) -> None:
    session.settings = session.settings._replace(max_new_tokens=100_000)
    session.respond("cat " * 120)
    (stream,) = session.renderer.made
    assert stream.reply.max_new_tokens == 512 - len(stream.reply.prompt_ids)


def test_without_a_chat_template_a_line_is_continued(tiny_gpt2: Path, tmp_path: Path) -> None:
    served = load(resolve_target(str(tiny_gpt2), tmp_path))
    session = Session([ChatModel("gpt2", served)], GREEDY, True, RowStore())
    for _ in range(2):
        session.respond("Once there was a cat")
        assert prompt_of(session) == "<|endoftext|>Once there was a cat", "nothing is remembered"
    with pytest.raises(UserError, match="takes no system prompt"):
        session.set_system("Be brief.")
    session.stop()
    with pytest.raises(UserError, match="has no chat template"):
        load(resolve_target(str(tiny_gpt2), tmp_path), chats=True)


def test_an_unloadable_model_is_reported_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(UserError, match="cannot be loaded"):
        load(resolve_target(str(tmp_path), tmp_path))


@pytest.mark.parametrize("continues", [False, True])
def test_a_chat_says_that_it_misses_the_prompts_of_the_training(capsys: pytest.CaptureFixture[str], continues: bool) -> None:
    settings = GREEDY._replace(system_note="43 of 60 training rows have a system prompt; set one with --system")
    announce(ModelReference("m", "", "", "", "", ""), settings, Session([], settings, continues, RowStore()))
    told = "system    none (43 of 60 training rows have a system prompt; set one with --system)\n"
    assert (told in capsys.readouterr().err) == (not continues)


def test_the_page_says_it_too() -> None:
    web_page = pytest.importorskip("recipekit.runner.inference.web_page", reason="needs gradio")
    settings = GREEDY._replace(system_note="43 of 60 training rows have a system prompt; set one with --system")
    page = web_page.ChatPage(Session([], settings, False, RowStore()), "m")
    assert page._how().endswith(" System prompt (43 of 60 training rows have a system prompt; set one with --system): none")
