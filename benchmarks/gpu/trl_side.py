"""A plain script of TRL's SFTTrainer with the source guide's settings: trl_side.py '{"model": ..., "rows": JSONL, "method": ...}'.

Whole conversations, batches padded to the longest row, gradient checkpointing; QLoRA with nf4 and double quantisation. bf16 on a GPU.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

given = json.loads(sys.argv[1])
method, cpu = given["method"], given["cpu"]
dtype = torch.float32 if cpu else torch.bfloat16
options: dict[str, Any] = {"dtype": dtype, "device_map": "cpu" if cpu else {"": 0}}
if method == "qlora":
    options["quantization_config"] = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype, bnb_4bit_use_double_quant=True
    )
model = AutoModelForCausalLM.from_pretrained(given["model"], **options)
tokenizer = AutoTokenizer.from_pretrained(given["model"])
tokenizer.padding_side = "right"
if method == "qlora":
    model = prepare_model_for_kbit_training(model)
adapter = None if method == "full" else LoraConfig(bias="none", task_type="CAUSAL_LM", **given["lora"])
rows = [json.loads(line) for line in Path(given["rows"]).read_text(encoding="utf-8").splitlines()]
messages = [{"messages": [{key: turn[key] for key in ("role", "content")} for turn in row["messages"]]} for row in rows]
optimizer = "adamw_torch" if cpu else "adamw_torch_fused" if method == "full" else "paged_adamw_8bit"
arguments = SFTConfig(
    output_dir=given["out"], max_steps=given["steps"], per_device_train_batch_size=given["micro"],
    gradient_accumulation_steps=given["accumulation"], gradient_checkpointing=True, learning_rate=given["learning_rate"],
    lr_scheduler_type="cosine", warmup_steps=1, logging_steps=1, save_strategy="no", report_to=[], seed=42, bf16=not cpu, fp16=False,
    optim=optimizer, max_length=given["max_length"], packing=False, use_cpu=cpu, dataloader_pin_memory=not cpu,
)  # fmt: skip
SFTTrainer(model=model, args=arguments, train_dataset=Dataset.from_list(messages), processing_class=tokenizer, peft_config=adapter).train()
