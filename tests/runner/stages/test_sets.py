"""The sets stage prints for each set what a conversion prints."""

from types import SimpleNamespace

from recipekit.converters.building.pipeline import build
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.stages import sets
from recipekit.schemas.sections import Data, Source, Split

from ...support.chats import chat
from ...support.jsonl import write_jsonl


def test_unread_keys_of_a_set_are_reported(tmp_path):
    trained, more = write_jsonl(tmp_path / "a.jsonl", [chat("a")]), write_jsonl(tmp_path / "b.jsonl", [chat("b &amp; c", topic="x")])
    data = Data("chat", (Source(str(trained), "messages"),), split=Split(0))
    of_set = Data("chat", (Source(str(more), "messages", split="test"),))
    recipe = SimpleNamespace(data=data, evaluation=SimpleNamespace(also={"more": None}), of_set=lambda name: SimpleNamespace(data=of_set))
    printed: list[str] = []
    display = SimpleNamespace(say=lambda stage, words: printed.append(words))
    run = RunFolder(tmp_path / "run")
    context = SimpleNamespace(recipe=recipe, run=run, manifest=build(data, run / "data"), display=display)
    sets.run(context)
    assert printed[0] == "more: 1 row in, 1 kept; dropped: none"
    assert printed[1].startswith("more: messages: keys not read: topic (1 row)") and "&amp; (1 row)" in printed[2]
