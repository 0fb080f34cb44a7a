"""Check what an adapter's configuration could make peft do before its weights are read: take the memory of ranks that its weights do not
have, or match patterns that backtrack without end.

python -m recipekit.runner.models.adapter_check: reads patterns and names of modules from standard input, and prints what is wrong with a
pattern; it limits itself.
"""

import json
import re
import signal
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

from ...schemas.base.errors import first_line
from .template_check import SECONDS, in_child, limit_this_process

MAX_ENTRIES = 10_000  # of a key: peft tries each on each module
_WHOLE = ("target_modules", "exclude_modules")  # a text of these is a pattern for whole names, a list has ends of names
_ENDS = ("rank_pattern", "alpha_pattern", "layers_pattern", "modules_to_save")
_SIGNS = frozenset(r"*+?{(|[\^$")
_TRIED = 100  # names of the adapter's own modules
_USUAL = ("model.embed_tokens", "model.layers.10.self_attn.q_proj", "model.layers.10.mlp.experts.0.down_proj", "transformer.h.1.c_attn")
_SIZES = ("r", "init_r", "num_virtual_tokens", "encoder_hidden_size")


def adapter_faults(config: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> Iterator[str]:
    """Yield what is wrong with an adapter_config.json; `shapes` are those of the adapter's weights, {} if they are unknown."""
    many = [key for key in (*_WHOLE, *_ENDS) if isinstance(config.get(key), list | dict) and len(config[key]) > MAX_ENTRIES]
    yield from (f"{key} has {len(config[key]):,} entries; at most {MAX_ENTRIES:,} are tried" for key in many)
    ranks = config.get("rank_pattern")
    sizes = [(key, config.get(key)) for key in _SIZES]
    sizes += [("rank_pattern", rank) for rank in ranks.values()] if isinstance(ranks, dict) else []
    most = max((side for shape in shapes.values() for side in shape), default=None)
    if most is not None and (false := [(key, size) for key, size in sizes if isinstance(size, int) and size > most]):
        yield f"{false[0][0]} is {false[0][1]:,}, but no side of its weights is longer than {most:,}"
    decomposed = re.fullmatch(r"pissa_niter_(\d+)", str(config.get("init_lora_weights")))
    if decomposed and len(decomposed[1]) > 2:  # peft computes it before it loads the weights
        yield f"wants {decomposed[1][:20]} iterations of a decomposition that its weights replace (init_lora_weights)"
    if config.get("alora_invocation_tokens"):
        yield "acts from certain tokens on (an aLoRA: alora_invocation_tokens), so it cannot be merged into its base model"
    if config.get("layer_replication"):
        yield "repeats layers of its base model (layer_replication): what it was trained on is another model"
    if not many and (patterns := _patterns(config)):
        names = [re.sub(r"^base_model\.model\.|\.lora_.*$", "", name) for name in list(shapes)[:_TRIED]]
        if fault := _pattern_fault(json.dumps([patterns, [*_USUAL, *dict.fromkeys(names)]])):
            yield fault


def _patterns(config: dict[str, Any]) -> list[str]:
    """Return the patterns, each as peft matches it from the start of a name; plain names need not be tried."""
    found = [(value, value) for key in _WHOLE if isinstance(value := config.get(key), str)]
    for key in _ENDS:
        value = config.get(key)
        entries = [value] if isinstance(value, str) else value if isinstance(value, list | dict) else ()
        form = r".*?\.{}\.(\d+)\." if key == "layers_pattern" else r"(.*\.)?({})$"
        found += [(entry, form.format(entry)) for entry in entries if isinstance(entry, str)]
    return [form for entry, form in found if _SIGNS & set(entry)]


@cache
def _pattern_fault(given: str) -> str:
    done = in_child("recipekit.runner.models.adapter_check", given.encode())
    if done is None or done.returncode == -signal.SIGXCPU:
        return f"has a pattern that takes more than {SECONDS} seconds for a few names of modules"
    if done.returncode < 0:
        return "has a pattern that crashes the process that tries it"
    return done.stdout.decode("utf-8", "replace").strip()


def main() -> None:
    """Print the fault of the patterns on standard input, if any."""
    patterns, names = json.loads(sys.stdin.buffer.read())
    limit_this_process()
    for pattern in patterns:
        try:
            for name in names:
                re.match(pattern, name)
        except (re.error, OverflowError, RecursionError, MemoryError) as error:
            return print(f"has a pattern that is none: {first_line(error)[:200]}")


if __name__ == "__main__":
    main()
