"""What is public of the models that shipped recipes name: the fields of their configuration that decide their size, their special tokens.

For where the hub cannot be reached, or the model is gated. The figures are those of the models' own config.json.
"""

from functools import cache
from pathlib import Path
from typing import Any

import orjson


@cache
def public_models() -> dict[str, dict[str, Any]]:
    """Hub name -> config, tokens (bos, eos, pad, unk, more), chat_template (Axolotl's name of it), remote_code.

    `remote_code` says that transformers has no such architecture and the hub's own code would be needed; the config is then that of the
    same weights in Llama's form, into which InternLM's convert2llama.py brings them.
    """
    return orjson.loads((Path(__file__).parent / "public_models.json").read_bytes())
