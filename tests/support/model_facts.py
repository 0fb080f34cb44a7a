"""What a model and its tokenizer are when loaded, as JSON: python -m tests.support.model_facts DIR"""

import json
import sys

from transformers import AutoModelForCausalLM, AutoTokenizer

if __name__ == "__main__":
    tokenizer, model = AutoTokenizer.from_pretrained(sys.argv[1]), AutoModelForCausalLM.from_pretrained(sys.argv[1])
    chat = tokenizer.chat_template and tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    kinds = ("bos", "eos", "pad", "unk")
    found = {
        "class": type(model).__name__,
        "vocabulary": [len(tokenizer), model.config.vocab_size],
        "tokens": {kind: getattr(tokenizer, f"{kind}_token") for kind in kinds},
        "chat": chat,
        "ids": tokenizer.encode("<|eot_id|>"),
        "config": {kind: getattr(model.config, f"{kind}_token_id") for kind in kinds[:3]},
    }
    print(json.dumps(found))
