"""Bring a text into the form of the rows that a classifier was trained on: a model of numbered posts gets its posts numbered, whether a
text comes from a file, a request or a keyboard.
"""

from typing import Any, NamedTuple, Self

from ...schemas.base.errors import UserError
from ...schemas.sections import Data
from ..reading.mojibake import fix_text
from ..reading.records import Drop, Row
from ..sources.registry import row_of_text
from .row_account import convert_rows


class TrainingForm(NamedTuple):
    """The converter of a training's first source, with its options."""

    converter: str
    options: dict[str, Any]
    fix_mojibake: bool = True

    @classmethod
    def of(cls, data: Data) -> Self:
        """Return the form of a recipe's rows."""
        return cls(data.sources[0].converter, data.sources[0].options, data.fix_mojibake)

    @property
    def takes_texts(self) -> bool:
        """Return whether a text alone can be converted: a row of several columns cannot be made from it."""
        return row_of_text(self.converter, self.options, "") is not None

    def read(self, text: str) -> str:
        """Return the text as the model was trained on it; one that has this form already, or cannot be converted alone, as it is.

        Raises UserError if the converter makes nothing of it.
        """
        if (value := row_of_text(self.converter, self.options, text)) is None:
            return text
        (made,) = convert_rows(self.converter, [Row(value, "text", 1)], "classification", self.options)
        if isinstance(made, Drop):
            why = made.reason.replace("_", " ") + (f": {made.detail}" if made.detail else "")
            raise UserError(f"{text[:40]!r} cannot be classified: {why}")
        return fix_text(made.fields["text"]) if self.fix_mojibake else made.fields["text"]

    def __str__(self) -> str:
        """Return how texts are read, for the terminal."""
        if not self.takes_texts:
            return f"read as they are; the rows of the training were converted by {self.converter}: see data/train.jsonl of the run"
        options = (f"{name}: {value}" for name, value in self.options.items())
        return "converted as the rows of the training: " + ", ".join([self.converter, *options])
