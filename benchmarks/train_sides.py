"""The other sides of train.py, each in a process of its own: python train_sides.py SIDE ARGUMENT

    guide   the source guide's own script, brought to the names that its libraries have now: TRL's SFTTrainer
    loss    the loss of an adapter on the last assistant turn of held-out rows, the same code for both sides

The argument is a JSON object; the last line is one.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

IGNORED = -100


def seconds() -> tuple[float, float]:
    """Wall and CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.monotonic(), used.ru_utime + used.ru_stime


def guide(given: dict[str, Any]) -> dict[str, Any]:
    """Train as the guide does: whole conversations, batches of 4 padded to the longest row, gradient checkpointing."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    rows = [json.loads(line) for line in Path(given["train"]).read_text(encoding="utf-8").splitlines()]
    tokenizer = AutoTokenizer.from_pretrained(given["model"])
    model = AutoModelForCausalLM.from_pretrained(given["model"], dtype=torch.float32, attn_implementation="sdpa")
    lora = given["lora"]
    adapter = LoraConfig(r=lora["r"], lora_alpha=lora["alpha"], lora_dropout=lora["dropout"], bias="none", task_type="CAUSAL_LM",
                         target_modules="all-linear")  # fmt: skip
    arguments = SFTConfig(
        output_dir=given["out"], num_train_epochs=1,
        per_device_train_batch_size=given["micro"], gradient_accumulation_steps=given["accumulation"],
        learning_rate=given["learning_rate"], lr_scheduler_type="cosine", warmup_steps=given["warmup_steps"], optim="adamw_torch",
        gradient_checkpointing=True, bf16=False, fp16=False, use_cpu=True, max_length=given["sequence_len"], packing=False, logging_steps=1,
        save_strategy="no", report_to=[], seed=42, dataloader_pin_memory=False,
    )  # fmt: skip

    class Clock(TrainerCallback):
        begun = ended = (0.0, 0.0)

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 0:
                self.begun = seconds()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.ended = seconds()

    clock = Clock()
    data = Dataset.from_list([{"messages": row["messages"]} for row in rows])
    trainer = SFTTrainer(
        model=model, args=arguments, train_dataset=data, processing_class=tokenizer, peft_config=adapter, callbacks=[clock]
    )
    trainer.train()
    trainer.save_model(given["out"])
    return {
        "tokens": sum(len(row) for row in trainer.train_dataset["input_ids"]),
        "wall": clock.ended[0] - clock.begun[0],
        "cpu": clock.ended[1] - clock.begun[1],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "losses": [line["loss"] for line in trainer.state.log_history if "loss" in line],
    }


def loss(given: dict[str, Any]) -> dict[str, Any]:
    """Mean negative log-likelihood (nats) of the trained tokens of tokenised rows, under the base with each adapter."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    found = {}
    for name, adapter in given["adapters"].items():
        base: Any = AutoModelForCausalLM.from_pretrained(given["model"], dtype=torch.float32, attn_implementation="sdpa")
        model = PeftModel.from_pretrained(base, adapter).eval() if adapter else base.eval()
        total = count = 0.0
        for line in Path(given["rows"]).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            labels = torch.tensor(row["labels"])[1:]
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1]
            trained = labels != IGNORED
            total += float(torch.nn.functional.cross_entropy(logits[trained], labels[trained], reduction="sum"))
            count += int(trained.sum())
        found[name] = total / count
    return found


if __name__ == "__main__":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    print(json.dumps({"guide": guide, "loss": loss}[sys.argv[1]](json.loads(sys.argv[2]))))
