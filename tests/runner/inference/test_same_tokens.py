"""A chat has the same tokens in training, evaluation, prediction, `recipe chat` and `recipe serve`, whatever its template writes."""

import asyncio
import json
import re
from pathlib import Path

import pytest

pytest.importorskip("axolotl", reason="needs the extra [train]")

from recipekit.runner.inference.chat_session import Session
from recipekit.runner.inference.chat_settings import Settings
from recipekit.runner.inference.chat_stream import ChatModel
from recipekit.runner.inference.protocol import read_request
from recipekit.runner.inference.server import Chats
from recipekit.runner.models.chat_templates import template_prefix
from recipekit.runner.worker.labels import last_span
from recipekit.runner.worker.loading import LoadedModel
from recipekit.runner.worker.predict import _prompts

from ...support.tiny import TEMPLATE, build_tokenizer, emogpt_rows

MARKER = re.compile(r"<\|[^|<>\s]+\|>|\[/?[A-Z_]{3,}\]|</?s>|<\w+_of_turn>")
TEMPLATES = [
    "tiny",
    "chatml",
    "llama3",
    "llama4",
    "gemma",
    "gemma3",
    "phi_4",
    "exaone",
    "mistral_v7_tekken",
    "qwen_25",
    "qwen3",
    "deepseek_v3",
]
FOLDS, DROPS = {"gemma"}, {"qwen3", "deepseek_v3"}  # docs/templates.md: what the recipe has to accept
NO_TOOLS = {"gemma", "gemma3", "phi_4", "mistral_v7_tekken"}  # their templates refuse or lose such messages


def message(role, content):
    return {"role": role, "content": content}


SYSTEM, THOUGHT = message("system", "Be brief. 🙂"), "<think>\nHigh up.\n</think>\n\nIn the tree."
SHAPES = {
    "one turn": [message("user", "Where is the owl?")],
    "two turns": [message("user", "Where is the owl?"), message("assistant", "In the tree."), message("user", "And the fox?")],
    "system": [SYSTEM, message("user", "Where is the owl?")],
    "system, two turns": [SYSTEM, message("user", "Where?"), message("assistant", "In the tree."), message("user", "And the fox?")],
    "reasoning": [message("user", "Where is the owl?"), message("assistant", THOUGHT), message("user", "And the fox?")],
    "tools": [message("user", "Where is the owl?"), message("assistant", "I look."), message("tool", "owl: tree 7")],
    "spaces and line ends": [message("user", "a\n\n  b\tc"), message("assistant", "d\n\n e"), message("user", "夜の 🌙")],
}


def template_of(name, drops):
    import axolotl

    path = Path(str(axolotl.__file__)).parent / "utils/chat_templates/templates" / f"{name}.jinja"
    text = TEMPLATE if name == "tiny" else path.read_text(encoding="utf-8")
    return template_prefix(name in FOLDS, drops) + text


@pytest.fixture(scope="module")
def tokenizers():
    """Each template's tokenizer, with and without the reasoning that the recipe drops."""
    texts = [message["content"] for row in emogpt_rows() for message in row["messages"]]
    made = {}

    def tokenizer(name, drops):
        if (name, drops) not in made:
            found = build_tokenizer(texts, eos_token="<|im_end|>", pad_token="<|endoftext|>", bos_token="<|im_start|>")
            found.chat_template = template_of(name, drops)
            found.add_special_tokens({"additional_special_tokens": sorted({*MARKER.findall(found.chat_template)})})
            made[name, drops] = found
        return made[name, drops]

    return tokenizer


def trained(tokenizer, messages):
    """The tensors that Axolotl trains with."""
    from axolotl.prompt_strategies.chat_template import load
    from axolotl.utils.dict import DictDefault

    reply = tokenizer.apply_chat_template([message("user", "a"), message("assistant", "Xylophone")], tokenize=False).partition("Xylophone")[
        2
    ]
    ends = tokenizer.tokenize(reply.strip())[0]
    dataset = {"type": "chat_template", "field_messages": "messages", "message_field_training": "train", "roles_to_train": ["assistant"],
               "train_on_eos": "turn", "message_property_mappings": {"role": "role", "content": "content"}}  # fmt: skip
    cfg = DictDefault({"datasets": [dataset], "chat_template": "tokenizer_default", "sequence_len": 4096, "eot_tokens": [ends]})
    return load(tokenizer, cfg, ds_cfg=dataset).tokenize_prompt(json.loads(json.dumps({"messages": messages})))


def chat_ids(served, asked):
    system = asked[0]["content"] if asked[0]["role"] == "system" else None
    session = Session([ChatModel("tuned", served)], Settings(0.0, 1.0, 1.0, 8, None, system, ""), False, None)
    session.messages = asked[bool(system) : -1]
    try:
        return session._prompt_ids(asked[-1]["content"])
    finally:
        session.stop()


def serve_ids(served, asked, system=None):
    async def ids():
        chats = Chats(served, 1, system)
        try:
            return await chats._prompt_ids(read_request({"messages": asked}))
        finally:
            chats.batcher.stop()

    return asyncio.run(ids())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", TEMPLATES)
def test_a_reply_is_asked_for_with_the_tokens_before_it_in_training(tokenizers, name, shape):
    if shape == "tools" and name in NO_TOOLS:
        pytest.skip("the template does not take the messages of tools; a run refuses them")
    asked = SHAPES[shape]
    tokenizer = tokenizers(name, shape == "reasoning" and name in DROPS)
    served = LoadedModel("tuned", None, tokenizer, frozenset(), 0, 4096, "cpu", is_tuned=True)
    tensors = trained(tokenizer, [*asked, message("assistant", "Down in its den.")])
    evaluated = list(tensors["input_ids"][: last_span(list(tensors["labels"]))])
    assert served.prompt_ids(asked) == evaluated
    assert _prompts(served, {"id": "a", "fields": {"messages": asked}}, {})["ids"] == evaluated
    if asked[-1]["role"] == "user":
        assert chat_ids(served, asked) == evaluated
        assert serve_ids(served, asked) == evaluated
        if asked[0]["role"] == "system":
            assert serve_ids(served, asked[1:], asked[0]["content"]) == evaluated
