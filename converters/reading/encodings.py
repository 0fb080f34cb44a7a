"""Read files that are not UTF-8 in the encoding that the source declares. Without one, the error suggests encodings; none is assumed."""

import codecs
import io
import re
from typing import Any, BinaryIO

from ...schemas.base.errors import Problem, UserError
from .forward import ForwardReader

BLOCK = 1 << 16
SEARCHED = 64 << 20  # bytes that are searched for invalid UTF-8
DAMAGED = 0.9  # with this share of valid UTF-8 among the non-ASCII characters, a file is damaged UTF-8 and not another encoding
FEW_PAIRS = 10
SHOWN = 3
MOST_COMMON = "cp1252"  # short Western texts are valid in a dozen encodings
CANDIDATES = (MOST_COMMON, "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874", "koi8_r", "gb18030",
              "big5", "shift_jis", "euc_jp", "cp949", "mac_roman", "utf_16_le", "utf_16_be")  # fmt: skip


def is_utf8(encoding: str) -> bool:
    """Return whether the name means UTF-8, with or without a byte order mark."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def as_utf8(stream: BinaryIO, encoding: str, name: str) -> io.BufferedReader:
    """Return the stream's text as UTF-8. Reading it raises UserError at the first bytes that are invalid in the encoding."""
    return io.BufferedReader(_Transcoded(stream, encoding, name), BLOCK)


def is_plainly_utf8(stream: BinaryIO, encoding: str) -> bool:
    """Return whether a text that is said to be in another encoding is UTF-8; the stream is left at its start.

    Two bytes of another encoding may be a character of UTF-8. Where each byte is a character, such pairs do not come up in a text
    (`Ã¤`); where two bytes are one, a few may.
    """
    head = stream.read(BLOCK)
    stream.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        others = sum(not character.isascii() for character in decoder.decode(head))
    except UnicodeDecodeError:
        return False
    is_wide = bool("日".encode(encoding, "ignore"))
    return others >= (FEW_PAIRS if is_wide else 1)


class _Transcoded(ForwardReader):
    """The text as UTF-8."""

    def __init__(self, stream: BinaryIO, encoding: str, name: str) -> None:
        self.stream = stream
        self.encoding = encoding
        self.name = name
        self._start()

    def restart(self) -> None:
        self.stream.seek(0)
        self._start()

    def _start(self) -> None:
        self.decoder = codecs.getincrementaldecoder(self.encoding)()
        self.text = b""
        self.read_bytes = 0
        self.ended = False

    def readinto(self, buffer: Any) -> int:
        """Read into the buffer. Raises UserError for bytes that are invalid in the encoding."""
        while not self.text and not self.ended:
            self.text = self._next().encode("utf-8", "surrogatepass")
        size = min(len(buffer), len(self.text))
        buffer[:size] = self.text[:size]
        self.text = self.text[size:]
        self.given += size
        return size

    def _next(self) -> str:
        block = self.stream.read(BLOCK)
        self.ended = not block
        held = len(self.decoder.getstate()[0])
        try:
            text = self.decoder.decode(block, final=self.ended)
        except UnicodeDecodeError as error:
            place = self.read_bytes - held + error.start
            what = f"byte {place + 1:,} (0x{error.object[error.start]:02x}) is not {self.encoding}"
            raise UserError(Problem(self.name, what, "set encoding to the file's encoding", "encoding")) from None
        self.read_bytes += len(block)
        return text

    def close(self) -> None:
        if not self.closed:
            self.stream.close()
        super().close()


def encoding_hint(stream: BinaryIO) -> str:
    """Return the hint for a file that is not UTF-8: likely encodings, with a sample of the text in each."""
    sample = _first_other(stream)
    if _utf8_share(sample) >= DAMAGED:
        return "nearly all of the file is UTF-8: fix the damaged bytes"
    if not (found := _readings(sample)):
        return "set encoding (--encoding) to the file's encoding, e.g. encoding: cp1252, or save it as UTF-8"
    shown = ", ".join(f"{guess} if {reading!r} is correct" for reading, guess in found.items())
    return f"set encoding (--encoding): {shown}; or save the file as UTF-8"


def likely_encodings(stream: BinaryIO) -> dict[str, str]:
    """Return likely encodings of a file that is not UTF-8, the best first, by a sample of the text in each; none for damaged UTF-8."""
    sample = _first_other(stream)
    return {} if _utf8_share(sample) >= DAMAGED else _readings(sample)


def _readings(sample: bytes) -> dict[str, str]:
    readings: dict[str, str] = {}
    for guess in _guesses(sample):
        found = re.search(r".{0,15}[^\x00-\x7f].{0,15}", sample.decode(guess, "replace"))
        if found and (reading := "".join(filter(str.isprintable, found[0])).strip()):
            readings.setdefault(reading, guess)
    return dict([*readings.items()][:SHOWN])


def _first_other(stream: BinaryIO) -> bytes:
    """Return the first block that is not valid UTF-8, extended to the end of its line; the first block if all are valid."""
    stream.seek(0)
    first = b""
    while (block := stream.read(BLOCK)) and stream.tell() <= SEARCHED:
        block += stream.readline(BLOCK)
        first = first or block
        try:
            block.decode()
        except UnicodeDecodeError as error:
            if error.end < len(block) or error.reason != "unexpected end of data":
                return block
    return first


def _utf8_share(sample: bytes) -> float:
    """Return the share of valid UTF-8 among the non-ASCII characters."""
    others = [character for character in sample.decode(errors="replace") if not character.isascii()]
    return 1 - others.count("\ufffd") / len(others) if others else 0.0


def _guesses(sample: bytes) -> list[str]:
    """Return likely encodings, the best first; none without charset-normalizer, or if none fits."""
    try:
        from charset_normalizer import from_bytes
    except ImportError:
        return []
    found = [{match.encoding, *match.could_be_from_charset} for match in from_bytes(sample, cp_isolation=[*CANDIDATES])]
    names = [MOST_COMMON if MOST_COMMON in alike else next(name for name in CANDIDATES if name in alike) for alike in found]
    return sorted(names, key=lambda name: name != MOST_COMMON)
