"""Map each token to the characters of the rendered text that it encodes."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple


class TokenText(NamedTuple):
    """The text that a row's tokens spell, and where each token starts and ends in it. If several tokens make up one character, each
    encodes that character."""

    text: str
    starts: list[int]
    ends: list[int]


class TokenSpeller:
    """Spells tokens of one tokenizer from their contents, which is much cheaper than tokenising the text again."""

    def __init__(self, tokenizer: Any) -> None:
        from transformers.convert_slow_tokenizer import bytes_to_unicode

        self.tokenizer = tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        self.is_byte_level = "ByteLevel(" in str(getattr(backend, "decoder", ""))  # alone, or as the last of a sequence
        self.alphabet = {character: byte for byte, character in bytes_to_unicode().items()}
        self.added = {number: token.content for number, token in tokenizer.added_tokens_decoder.items()}
        self.known: dict[int, tuple[bytes, int, int]] = {}

    def spell(self, ids: Sequence[int]) -> TokenText | None:
        """Return the text of the tokens; None if they are not UTF-8."""
        known = self.known
        pieces = [known.get(number) or self._learn(number) for number in ids]
        ends = list(accumulate(piece[1] for piece in pieces))
        starts = [end - piece[1] - piece[2] for end, piece in zip(ends, pieces, strict=True)]
        try:
            return TokenText(b"".join([piece[0] for piece in pieces]).decode(), starts, ends)
        except UnicodeDecodeError:
            return None

    def encode(self, text: str, ids: Sequence[int]) -> TokenText | None:
        """Return the same for tokenizers that change their input (spaces before words, Unicode forms), from the text's own tokenisation
        with offsets. None if that differs."""
        if not getattr(self.tokenizer, "is_fast", False):
            return None
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        if list(encoded["input_ids"]) != list(ids):
            return None
        starts, ends = zip(*encoded["offset_mapping"], strict=True) if ids else ((), ())
        return TokenText(text, list(starts), list(ends))

    def _learn(self, number: int) -> tuple[bytes, int, int]:
        """Return a token's bytes, how many characters begin in it, and 1 if it begins within a character."""
        spelled = self._bytes(number)
        begun = sum(byte & 0xC0 != 0x80 for byte in spelled)
        self.known[number] = found = (spelled, begun, int(bool(spelled) and spelled[0] & 0xC0 == 0x80))
        return found

    def _bytes(self, number: int) -> bytes:
        if number in self.added:
            return self.added[number].encode()
        token = self.tokenizer.convert_ids_to_tokens(number) or ""
        if self.is_byte_level:
            return bytes(self.alphabet[character] for character in token if character in self.alphabet)
        if len(token) == 6 and token.startswith("<0x"):
            return bytes([int(token[3:5], 16)])
        return token.replace("\u2581", " ").encode()
