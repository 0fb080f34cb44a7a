"""Read the header of a safetensors file, JSON in front of the tensors (https://huggingface.co/docs/safetensors), and refuse what the
library would end in an error for: it says neither which file nor what to do. No weights are read."""

import math
import os
import struct
from pathlib import Path
from typing import Any

import orjson

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import open_regular

MAX_HEADER = 100_000_000  # the library's own limit
MAX_TENSORS = 200_000  # of a file; the largest models have half as many in all
_BITS = {
    name: bits
    for bits, names in (
        (4, "F4"), (6, "F6_E2M3 F6_E3M2"), (8, "BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ"), (16, "I16 U16 F16 BF16"),
        (32, "I32 U32 F32"), (64, "I64 U64 F64 C64"),
    )
    for name in names.split()
}  # fmt: skip


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor in the file. Raises UserError if its header does not describe what follows it."""
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(MAX_HEADER, size - 8):
                raise ValueError(f"a header of {length:,} bytes in a file of {size:,}")
            header = orjson.loads(stream.read(length))
        if len(header) > MAX_TENSORS:
            raise ValueError(f"{len(header):,} tensors; at most {MAX_TENSORS:,} are read")
        facts = {name: _facts(name, given) for name, given in header.items() if name != "__metadata__"}
        _check_places(facts, size - 8 - length)
        if not all(isinstance(value, str) for value in header.get("__metadata__", {}).values()):
            raise ValueError("metadata that is no text")
    except (OSError, struct.error, ValueError, AttributeError, KeyError, TypeError) as error:
        what = f"is damaged: its header cannot be read ({_reason(error)})"
        raise UserError(Problem(path, what, "copy or download the model again", "damaged-weights")) from None
    return {name: shape for name, (shape, _, _) in facts.items()}


def _facts(name: str, given: Any) -> tuple[tuple[int, ...], int, int]:
    """Return a tensor's shape and where it begins and ends, in bytes. Raises ValueError, KeyError or TypeError."""
    shape, (begin, end) = given["shape"], given["data_offsets"]
    numbers = [*shape, begin, end]
    if not isinstance(shape, list) or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError(f"{name[:100]!r} has no shape, or no place")
    if (bits := math.prod(shape) * _BITS[given["dtype"]]) != 8 * (end - begin):
        raise ValueError(f"{name[:100]!r} has {end - begin:,} bytes where its shape needs {(bits + 7) // 8:,}")
    return tuple(shape), begin, end


def _check_places(facts: dict[str, tuple[tuple[int, ...], int, int]], size: int) -> None:
    """Raise ValueError unless the tensors follow each other without a gap, and fill the file."""
    at = 0
    for name, (_, begin, end) in sorted(facts.items(), key=lambda item: item[1][1:]):
        if begin != at:
            raise ValueError(f"{name[:100]!r} begins at {begin:,} and not at {at:,}")
        at = end
    if at != size:
        raise ValueError(f"its tensors have {at:,} bytes, and the file {size:,}")


def _reason(error: Exception) -> str:
    known = isinstance(error, ValueError | OSError) and not isinstance(error, UnicodeError)
    return str(error)[:200] if known else "it is cut, or is none"
