"""Chat rows and data sections that several tests use."""

from pathlib import Path
from typing import Any

from recipekit.schemas.sections import Data, Source, Split

NO_SPLIT = Split(validation=0, test=0)


def chat(question: str, answer: str = "Yes.", **more: Any) -> dict[str, Any]:
    """A row of one exchange; `more` are further keys of the row."""
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **more}


def chats(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Different rows."""
    return [chat(f"What is {number} plus one?", f"{number + 1}") for number in range(start, start + count)]


def chat_data(*paths: Path, split: Split = NO_SPLIT, **more: Any) -> Data:
    """A data section of chats, one source a path."""
    return Data("chat", tuple(Source(str(path), "messages") for path in paths), split=split, **more)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder with its bytes."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
