"""How replies look: side by side, below each other, as text, as JSON."""

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from recipekit.schemas.base.screen import Screen

pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.inference.chat_render import JsonRenderer, PlainRenderer, SideBySideRenderer, side_by_side
from recipekit.runner.inference.chat_stream import ReplyStream

from ...support.terminal import screen_text


def reply(name: str, text: str, finish: str = "stop") -> Any:
    tokenizer = SimpleNamespace(decode=lambda ids, **_: text)
    model: Any = SimpleNamespace(name=name, served=SimpleNamespace(tokenizer=tokenizer))
    made = ReplyStream(model, SimpleNamespace(prompt_ids=[5, 6], seed=9))  # pyright: ignore[reportArgumentType]
    made.decoder.text = made.part = text
    made.finish, made.token_ids, made.seconds = finish, [1, 2, 3], 0.5
    return made


TWO = [reply("base", "The cat is an animal that sleeps a great deal of the day, wherever it is warm."), reply("tuned", "In the barn 🌙.")]


def printed(width: int) -> list[str]:
    return [line.rstrip() for line in screen_text(lambda screen: screen.print(side_by_side(TWO, width)), width).splitlines()]


def test_in_a_wide_terminal_replies_are_side_by_side() -> None:
    lines = printed(100)
    assert lines[0].split() == ["base", "tuned"]
    assert lines[1].startswith("The cat is an animal") and lines[1].endswith("In the barn 🌙.")
    assert all(len(line) <= 100 for line in lines)


def test_a_narrow_terminal_shows_replies_below_each_other() -> None:
    lines = printed(50)
    assert lines[0] == "base" and lines[-2:] == ["tuned", "In the barn 🌙."]
    assert " ".join(lines[1:-2]) == TWO[0].text


def test_a_reply_without_text_says_so_once_it_has_ended() -> None:
    """A small model may reply with line breaks alone; "…" would promise more."""
    shown = screen_text(lambda screen: screen.print(side_by_side([reply("base", " \n"), reply("tuned", "\n", finish="")], 50)), 50)
    assert shown.split("\n")[:4] == ["base", "(no text)", "tuned", "…"]


def test_long_replies_are_shown_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    console = Screen(file=io.StringIO(), width=100, height=6, force_terminal=True)
    long = [reply("base", "\n".join(f"line {n}" for n in range(30))), reply("tuned", "short")]
    SideBySideRenderer(console).show(long, iter(long))
    shown = console.file.getvalue()
    assert all(f"line {n}" in shown for n in range(30)) and "short" in shown
    assert "tuned: 3 tokens" in capsys.readouterr().err


def test_a_pipe_gets_the_reply_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    PlainRenderer(is_terminal=False).show(TWO[1:], iter(TWO[1:]))
    assert capsys.readouterr() == ("In the barn 🌙.\n", "")
    PlainRenderer(is_terminal=False).show(TWO, iter(TWO))
    assert capsys.readouterr().out == f"[base] {TWO[0].text}\n[tuned] In the barn 🌙.\n"


def test_a_truncated_reply_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    cut = [reply("tuned", "In the", "length")]
    PlainRenderer(is_terminal=False).show(cut, iter(cut))
    assert "3 tokens" in (output := capsys.readouterr().err) and "cut off (by --max-tokens" in output


def test_each_reply_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    JsonRenderer().show(TWO, iter(TWO))
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["model"] for line in found] == ["base", "tuned"]
    assert found[1] == {
        "model": "tuned", "reply": "In the barn 🌙.", "finish_reason": "stop", "seed": 9,
        "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5},
    }  # fmt: skip


def test_control_sequences_are_escaped_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    evil = [reply("tuned", "a\x1b[2Jb\x07\tc\n🏳️‍🌈")]
    PlainRenderer(is_terminal=True).show(evil, iter(evil))
    assert capsys.readouterr().out.startswith("a\\x1b[2Jb\\x07\tc\n🏳️‍🌈")
    PlainRenderer(is_terminal=False).show(evil, iter(evil))
    assert "\x1b[2J" in capsys.readouterr().out, "a pipe gets every byte"
