"""Count the training rows with a system prompt of their own, which no recipe knows: what answers later has to be given one."""

from pathlib import Path

import orjson

from ...schemas.base.files import NewFile
from ...schemas.sections import Data

_SYSTEM = b'"role":"system"'  # as a converted file has it; within a text the quotes are escaped


class TrainFile(NewFile):
    """The training rows being written. `own_prompts` are its chats that begin with a system message, unless the recipe sets one for all."""

    def __init__(self, path: Path, data: Data) -> None:
        super().__init__(path)
        self.counts = data.type == "chat" and not data.system_prompt
        self.own_prompts = 0

    def write(self, content: bytes | memoryview) -> None:
        """Append whole lines."""
        super().write(content)
        if self.counts:
            lines = bytes(content).split(b"\n")
            self.own_prompts += sum(_SYSTEM in line and orjson.loads(line)["messages"][0]["role"] == "system" for line in lines)
