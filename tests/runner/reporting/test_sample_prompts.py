"""Sample prompts on the terminal: a line for each answer, and no character that a terminal would obey."""

from recipekit.runner.reporting.sample_prompts import answered_prompts, print_samples
from rich.cells import cell_len

from ...support.finished_runs import PROBES
from ...support.terminal import screen_text


def printed(found: dict, width: int = 60) -> list[str]:
    return [line.rstrip() for line in screen_text(lambda screen: print_samples({"prompts": found}, screen), width).splitlines()]


def test_each_answer_fits_one_line():
    found = {**PROBES["prompts"], "tuned": [{"prompt": "Say\n<i>", "reply": "word\n\n[bold] " * 50, "finish_reason": "stop"}] * 6}
    found["base"] = [{"prompt": "Say\n<i>", "reply": "\x1b[2Jno", "finish_reason": "length"}] * 6
    lines = printed(found)
    assert " ".join(lines[1:3]) == "Sample prompts (temperature 0.7, top_p 0.9, seed 7, at most 64 tokens)"
    assert lines.count("  Say <i>") == 4 and "  2 more in the report" in lines
    assert "    base   \\x1b[2Jno (did not stop)" in lines
    replies = [line for line in lines if line.startswith("    tuned")]
    assert all(line.startswith("    tuned  word [bold] word") and line.endswith("…") and len(line) <= 60 for line in replies)


def test_a_long_prompt_keeps_its_end():
    texts = [
        f"Was sagst du zu diesem Satz: 把我给抓回去那我就完了我肯定会受到责罚的. How sure are you that you answer {word}?"
        for word in ("Fear", "Joy")
    ]
    answers = [{"prompt": text, "reply": "low", "finish_reason": "stop"} for text in texts]
    shown = [line for line in printed({**PROBES["prompts"], "base": answers, "tuned": answers}) if "Was sagst" in line]
    assert [line.split()[-1] for line in shown] == ["Fear?", "Joy?"]
    assert all(cell_len(line) <= 60 and "…" in line for line in shown)


def test_labels_are_listed_with_their_probabilities_without_sampling_settings():
    answer = {
        "prompt": "posts",
        "label": "ENFP",
        "probability": 0.9,
        "probabilities": {"INTJ": 0.1, "ENFP": 0.9},
        "tokens": 700,
        "tokens_seen": 512,
    }
    found = {"system": None, "generation": None, "tuned": [answer]}
    assert printed(found, 200) == [
        "", "Sample prompts", "  posts", "    tuned  ENFP 0.90, INTJ 0.10 (only 512 of 700 tokens were read)", "",
    ]  # fmt: skip


def test_a_recipe_without_prompts_shows_none():
    assert answered_prompts({}) == [] and printed({}) == []
