"""What torch's CUDA allocator reserves beyond the tensors of a training without expandable segments. Simulated: needs no GPU.

    python benchmarks/segments.py                                      # three models, rows of 512 to 8,192 tokens; JSON last
    python benchmarks/segments.py --model Qwen-1.8B --tokens 2048      # one of them

A model of benchmarks/published_memory.json is trained on torch's meta device, which computes shapes and no numbers, as its authors trained
it: LoRA in bf16, gradient checkpointing, all logits, a copy of them in fp32. What is allocated and freed goes through the rules of
c10/cuda/CUDACachingAllocator.cpp. benchmarks/memory.py uses the result.
"""

import argparse
import bisect
import json
import statistics
import weakref
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

MODELS = json.loads(Path(__file__).with_name("published_memory.json").read_text(encoding="utf-8"))["models"]
MB = 1 << 20
STEPS, MICRO_BATCHES = 2, 2


class Block(NamedTuple):
    """A block of a segment, with the offsets of its neighbours."""

    size: int
    before: int | None
    after: int | None


class Allocator:
    """The rules for one stream: pools of blocks up to 1 MB and of larger ones, the best fit, splitting, joining with free neighbours."""

    def __init__(self) -> None:
        self.free: dict[bool, list[tuple[int, int, int]]] = {True: [], False: []}  # by pool: size, segment, offset; sorted
        self.blocks: dict[tuple[int, int], Block] = {}  # by segment and offset
        self.segments = self.reserved = self.allocated = self.most_allocated = 0

    def allocate(self, size: int) -> tuple[bool, int, int]:
        """Take memory; return its pool, segment and offset."""
        size = max(-(-size // 512), 1) * 512
        is_small = size <= MB
        pool = self.free[is_small]
        at = bisect.bisect_left(pool, (size, 0, 0))
        found, segment, offset = pool.pop(at) if at < len(pool) else self._new_segment(size, is_small)
        block = self.blocks[segment, offset]
        if found - size >= (512 if is_small else MB + 1):
            self._put(segment, offset + size, Block(found - size, offset, block.after))
            bisect.insort(pool, (found - size, segment, offset + size))
            block = Block(size, block.before, offset + size)
        self._put(segment, offset, block)
        self.allocated += block.size
        self.most_allocated = max(self.most_allocated, self.allocated)
        return is_small, segment, offset

    def release(self, is_small: bool, segment: int, offset: int) -> None:
        """Give memory back."""
        pool, block = self.free[is_small], self.blocks[segment, offset]
        self.allocated -= block.size
        if following := self._take_if_free(pool, segment, block.after):
            block = Block(block.size + following.size, block.before, following.after)
        if preceding := self._take_if_free(pool, segment, block.before):
            del self.blocks[segment, offset]
            offset = offset - preceding.size
            block = Block(block.size + preceding.size, preceding.before, block.after)
        self._put(segment, offset, block)
        bisect.insort(pool, (block.size, segment, offset))

    def _new_segment(self, size: int, is_small: bool) -> tuple[int, int, int]:
        whole = 2 * MB if is_small else 20 * MB if size < 10 * MB else -(-size // (2 * MB)) * 2 * MB
        self.segments += 1
        self.blocks[self.segments, 0] = Block(whole, None, None)
        self.reserved += whole
        return whole, self.segments, 0

    def _take_if_free(self, pool: list[tuple[int, int, int]], segment: int, offset: int | None) -> Block | None:
        if offset is None:
            return None
        entry = (self.blocks[segment, offset].size, segment, offset)
        at = bisect.bisect_left(pool, entry)
        if at == len(pool) or pool[at] != entry:
            return None
        del pool[at]
        return self.blocks.pop((segment, offset))

    def _put(self, segment: int, offset: int, block: Block) -> None:
        """Set a block, also as a neighbour."""
        self.blocks[segment, offset] = block
        if block.before is not None:
            self.blocks[segment, block.before] = self.blocks[segment, block.before]._replace(after=offset)
        if block.after is not None:
            self.blocks[segment, block.after] = self.blocks[segment, block.after]._replace(before=offset)


def trace(config: dict[str, Any], tokens: int) -> tuple[Allocator, int]:
    """Train on rows of so many tokens; return the allocator, and the bytes that were held before a forward pass."""
    import torch
    from peft import LoraConfig, get_peft_model
    from torch.nn.functional import cross_entropy
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves
    from transformers import AttentionInterface, AutoConfig, AutoModelForCausalLM

    allocator, live, held = Allocator(), {}, 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = function(*args, **(kwargs or {}))
            for tensor in tree_leaves(made):
                storage = tensor.untyped_storage() if isinstance(tensor, torch.Tensor) and tensor.is_meta else None
                if storage is not None and storage._cdata not in live and storage.nbytes():
                    live[storage._cdata] = allocator.allocate(storage.nbytes())
                    weakref.finalize(storage, lambda key: allocator.release(*live.pop(key)), storage._cdata)
            return made

    class Flash(torch.autograd.Function):
        """What flash attention allocates and keeps."""

        @staticmethod
        def forward(ctx: Any, query: Any, key: Any, value: Any) -> Any:
            made = torch.empty_like(query)
            ctx.save_for_backward(query, key, value, made, torch.empty_like(query[..., 0], dtype=torch.float32))
            return made

        @staticmethod
        def backward(ctx: Any, *gradient: Any) -> Any:
            return tuple(torch.empty_like(tensor) for tensor in ctx.saved_tensors[:3])

    AttentionInterface.register(
        "outline", lambda module, query, key, value, mask, **_: (Flash.apply(query, key, value).transpose(1, 2), None)
    )
    with Watch():
        with torch.device("meta"):
            known = {key: value for key, value in config.items() if key != "fused_attention"}
            base = AutoModelForCausalLM.from_config(AutoConfig.for_model(**known), dtype=torch.bfloat16, attn_implementation="outline")
        lora = LoraConfig(r=64, lora_alpha=16, lora_dropout=0.05, target_modules="all-linear")
        model: Any = get_peft_model(base, lora, autocast_adapter_dtype=False).train()
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable({"use_reentrant": True, "preserve_rng_state": False})
        optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], foreach=False)
        for _ in range(STEPS):
            for _ in range(MICRO_BATCHES):
                held = allocator.allocated
                ids = torch.empty((1, tokens), dtype=torch.long, device="meta")
                logits = model(input_ids=ids, attention_mask={"full_attention": None}, use_cache=False).logits
                shifted, following = logits[:, :-1].contiguous(), ids[:, 1:].contiguous()
                loss = cross_entropy(shifted.flatten(0, 1).float(), following.flatten())
                del shifted, following
                logits = logits.float()  # accelerate gives outputs in fp32
                del logits
                loss.backward()
                del loss
            optimizer.step()
            optimizer.zero_grad()
    return allocator, held


def main() -> None:
    """Print a line per case, and the JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=[name for name in MODELS if name.startswith("Qwen")], help="only this model")
    parser.add_argument("--tokens", type=int, help="only rows of this length")
    options = parser.parse_args()
    names = [options.model] if options.model else ["Qwen-1.8B", "Qwen-7B", "Qwen-14B"]
    shares = []
    for name, tokens in product(names, [options.tokens] if options.tokens else [512, 1024, 2048, 4096, 8192]):
        allocator, held = trace(MODELS[name], tokens)
        gaps = allocator.reserved - allocator.most_allocated
        shares.append(gaps / (allocator.most_allocated - held))
        sizes = f"tensors {allocator.most_allocated / 1e9:.2f} GB, reserved {allocator.reserved / 1e9:.2f} GB"
        print(f"{name}, {tokens:,} tokens: {sizes}, gaps {shares[-1]:.0%} of what a forward and backward pass adds", flush=True)
    print(json.dumps({"cases": len(shares), "median_share": round(statistics.median(shares), 3), "most": round(max(shares), 3)}))


if __name__ == "__main__":
    main()
