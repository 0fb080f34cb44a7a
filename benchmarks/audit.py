"""What the audit of a chat's words costs compared with its tokenisation: both on the same rows in CPU seconds, the best of some rounds.

    python benchmarks/audit.py [--rows 2000] [--rounds 3]

Four messages a row, of a hundred to some hundred words, in the embedded model's template. Tokenising is Axolotl's own strategy, row by row,
without its progress bars and files; only the audit runs in addition: it renders each row with marks, and compares tokens and labels
with it. Wanted: at most a fifth. The last line is one JSON object.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from axolotl.prompt_strategies.chat_template import load as axolotl_strategy
from axolotl.utils.dict import DictDefault
from recipekit.runner.models.resolve import resolve_model
from recipekit.runner.worker.word_audit import WordAudit
from recipekit.schemas.model_rules import EMBEDDED
from recipekit.schemas.sections import Model
from transformers import AutoTokenizer

SENTENCE = "I could not sleep again last night, and in the morning everything felt heavy; what would you do first? 🌙 "
DATASET = {"type": "chat_template", "field_messages": "messages", "message_field_training": "train", "roles_to_train": ["assistant"],
           "train_on_eos": "turn", "message_property_mappings": {"role": "role", "content": "content"}}  # fmt: skip


def chats(count: int) -> list[dict[str, Any]]:
    """Rows that all differ."""
    return [
        {"id": f"rows:{number}", "messages": [
            {"role": role, "content": f"{number}: {SENTENCE * (5 + (number + turn) % 20)}".strip()}
            for turn, role in enumerate(("user", "assistant", "user", "assistant"))
        ]}
        for number in range(count)
    ]  # fmt: skip


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """The CPU seconds that the work takes, and its result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    tokenizer: Any = AutoTokenizer.from_pretrained(resolve_model(Model(EMBEDDED), Path("runs")).path)
    cfg = DictDefault({"datasets": [DATASET], "chat_template": "tokenizer_default", "sequence_len": 8192})
    strategy = axolotl_strategy(tokenizer, cfg, ds_cfg=DATASET)
    tokenising, auditing, tokens = [], [], 0
    for _ in range(given.rounds):
        rows = chats(given.rows)
        spent, made = seconds(lambda rows=rows: [strategy.tokenize_prompt({"messages": row["messages"]}) for row in rows])
        tokenising.append(spent)
        tokens = sum(len(row["input_ids"]) for row in made)

        def audit(rows: list[dict[str, Any]] = rows, made: list[Any] = made) -> list[Any]:
            words = WordAudit(cfg, tokenizer)
            refused = words.refusals(rows)
            return [refused] + [
                words.losses(row, tokenised["input_ids"], tokenised["labels"]) for row, tokenised in zip(rows, made, strict=True)
            ]

        spent, found = seconds(audit)
        auditing.append(spent)
        if any(found):
            raise SystemExit("the audit found losses, which this template does not have")
    share = min(auditing) / min(tokenising)
    print(
        f"{given.rows:,} rows of {tokens / given.rows:,.0f} tokens: tokenised in {min(tokenising):.2f} s, audited in {min(auditing):.2f} s"
    )
    print(json.dumps({"tokenising": min(tokenising), "audit": min(auditing), "share": round(share, 3), "wanted": 0.2}))


if __name__ == "__main__":
    main()
