"""A reply's tokens as text, part by part."""

from collections.abc import Sequence
from typing import Any


class GrowingText:
    """What has been told of a reply, in `text`. A character of which only some bytes are there waits for the rest."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer, self.text = tokenizer, ""

    def new(self, token_ids: Sequence[int], is_whole: bool) -> str:
        """The text that the reply's tokens so far have added since it was last asked for."""
        text = self.tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if text.endswith("\ufffd") and not is_whole:
            return ""
        told, self.text = self.text, text
        return text[len(told) :]
