"""Small files of records for the tests of inspection."""

import json

LONG = "when the rain came down over the old harbour the gulls went quiet and the boats lay still, said"


def chat(number, answer="low", question=None, **meta):
    question = question or f"Question {number}: how sure are you, in words of your own?"
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    origin = {"file": "rows.json", "line": number, "converter": "messages@1"}
    return {"id": f"rows.json:{number}", "messages": messages, "meta": {**meta, "origin": origin}}


def labelled(number, label, text=None):
    return {"id": f"t:{number}", "text": text or f"text number {number} about nothing much", "label": label}


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows), encoding="utf-8"
    )
    return path
