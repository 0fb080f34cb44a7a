"""A model folder with random weights in bf16: weights.py '{"config": ..., "tokenizer": FOLDER}' FOLDER.

What a step costs does not depend on the weights' values, so that a machine without a network measures the same speeds.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

given, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
tokenizer = AutoTokenizer.from_pretrained(given["tokenizer"])
config = {**given["config"], **{f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}}
torch.manual_seed(42)
with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(config.pop("model_type"), **config), dtype=torch.bfloat16)
model.save_pretrained(folder)
tokenizer.save_pretrained(folder)
