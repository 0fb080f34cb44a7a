"""Data that are no longer what was written are made again, not trained on."""

from pathlib import Path

import pytest
from recipekit.converters.building.pipeline import build
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.stages.stage import RunContext

from ...support.chats import chat_data, chats, write_jsonl


class Said(list[str]):
    """A display that remembers."""

    def say(self, stage: str, what: str, style: str = "") -> None:
        self.append(what)


@pytest.fixture
def run(tmp_path: Path):
    rows = write_jsonl(tmp_path / "rows.jsonl", chats(20))

    def make(name, stages):
        folder = RunFolder(tmp_path / "runs" / "small" / name)
        folder.path.mkdir(parents=True)
        folder.write("status.json", {"stages": stages})
        if stages:
            build(chat_data(rows), folder / "data")
        return folder

    return make


@pytest.mark.parametrize("own", [True, False], ids=["of the run itself", "of an earlier run"])
def test_a_flipped_bit_has_the_stage_done_again(run, own):
    earlier = run("1", {"data": "key"})
    now, others = (earlier, []) if own else (run("2", {}), [earlier])
    assert not RunContext(now, None, now.path, Said(), others, {}).begin("data", "key")
    path = earlier / "data" / "train.jsonl"
    content = bytearray(path.read_bytes())
    content[50] ^= 4
    path.write_bytes(content)
    now = earlier if own else run("3", {})
    said = Said()
    assert RunContext(now, None, now.path, said, others, {}).begin("data", "key")
    assert "is damaged: its sha256 is" in said[0]
