"""What a person sees while a recipe runs, with a terminal and without one."""

import io
import re

import pytest
from recipekit.runner.runtime.console import Display, _clock
from recipekit.schemas.base.screen import Screen

from ...support.terminal import in_terminal

EVENTS = [
    {"event": "stage", "name": "tokenise"},
    {"event": "stage", "name": "load model"},
    {"event": "train", "steps": 12, "step": 0},
    {"event": "step", "step": 1, "loss": 2.5, "tokens_per_s": 321.4},
    {"event": "step", "step": 4, "eval_loss": 2.25},
    {"event": "stopping", "signal": "SIGTERM"},
    {"event": "stage", "name": "save"},
    {"event": "evaluate", "model": "base", "done": 0, "total": 8},
    {"event": "evaluate", "model": "tuned", "done": 4, "total": 8},
    {"event": "evaluated", "done": 8, "total": 8},
    {"event": "of a later version", "anything": 1},
]


@pytest.fixture
def shown():
    """What a display prints for events, with a terminal or without one."""

    def run(events, terminal, before=lambda display: None):
        screen = io.StringIO()
        display = Display()
        display.console = Screen(file=screen, force_terminal=terminal, width=110)
        display.bar.live.console = display.console
        with display:
            before(display)
            for event in events:
                display.event(event)
                display.bar.refresh()
            display.clear()
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())

    return run


def test_without_a_terminal_there_is_a_plain_line_for_every_new_stage(shown):
    lines = [line.strip() for line in shown(EVENTS, terminal=False).splitlines()]
    assert "tokenising" in lines and "loading the model" in lines and "saving" in lines
    assert any(line.startswith("training 0/12 · 0:00 elapsed") for line in lines)
    assert "stopping  finishing the step and writing a checkpoint; Ctrl-C now ends it at once" in lines
    assert any(line.startswith("evaluating base 0/8") for line in lines) and any(line.startswith("evaluating tuned 4/8") for line in lines)


def test_without_a_terminal_there_is_no_blank_line(shown):
    assert [line for line in shown(EVENTS, terminal=False).split("\n")[:-1] if not line.strip()] == []


def test_a_stage_that_is_announced_twice_is_reported_once(shown):
    saving = {"event": "stage", "name": "save"}
    assert shown([saving, saving], terminal=False).split() == ["saving"]


def test_without_a_terminal_the_time_that_is_left_is_reported(shown, monkeypatch):
    now = 0.0
    monkeypatch.setattr("recipekit.runner.runtime.console._PLAIN_SECONDS", -1)
    monkeypatch.setattr("rich.console.monotonic", lambda: now)

    def a_step_a_second():
        nonlocal now
        yield {"event": "train", "steps": 400, "step": 0}
        for step in range(1, 5):
            now += 1
            yield {"event": "step", "step": step, "loss": 1.0}

    line = shown(a_step_a_second(), terminal=False).splitlines()[-1]
    assert line == "  training 4/400 · 0:04 elapsed · 6:36 left · loss 1.000"


def test_without_a_terminal_steps_do_not_flood_the_log(shown):
    steps = [{"event": "step", "step": n, "loss": 1.0} for n in range(1, 500)]
    lines = shown([{"event": "train", "steps": 500, "step": 0}, *steps], terminal=False).splitlines()
    assert len(lines) < 5


def test_without_a_terminal_steps_are_printed_every_few_seconds(shown):
    def long_ago(display):
        display.last_plain = -1e9

    output = shown([{"event": "step", "step": 7, "loss": 1.23456, "eval_loss": 2.0, "tokens_per_s": 99.6}], terminal=False, before=long_ago)
    assert output.strip() == "training 7 · 0:00 elapsed · loss 1.235 · validation loss 2.000 · 100 tokens/s"


def test_on_a_terminal_every_event_moves_the_bar(shown):
    output = shown(EVENTS, terminal=True)
    for text in (
        "tokenising",
        "loading the model",
        "training",
        "1/12",
        "loss 2.500",
        "321 tokens/s",
        "4/12",
        "validation loss 2.250",
        "4/8",
    ):
        assert text in output


def test_during_the_first_batch_of_replies_its_tokens_are_shown(shown):
    events = [
        {"event": "evaluate", "model": "base", "done": 0, "total": 8},
        *({"event": "evaluate", "model": "base", "done": 0, "total": 8, "written": tokens} for tokens in range(16, 1700, 16)),
    ]
    assert "0/8 · 0:00 elapsed · 1,696 tokens written" in shown(events, terminal=True)
    assert "1 token written" in shown([{**events[0], "written": 1}], terminal=False)
    (line,) = shown(events, terminal=False).splitlines()
    assert line == "  evaluating base 0/8 · 0:00 elapsed"


def test_what_a_probe_does_is_shown_in_place_of_what_was_done_before(shown):
    done = {"event": "evaluate", "model": "tuned", "done": 8, "total": 8}
    probes = [{"event": "probe", "what": f"prompts of the {model} model"} for model in ("base", "tuned")]
    lines = shown([done, *probes], terminal=False).splitlines()
    assert lines[1:] == ["  prompts of the base model", "  prompts of the tuned model"]
    assert "prompts of the tuned model" in shown([done, *probes], terminal=True)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (94.4, "1:34"), (3599.6, "1:00:00"), (7294, "2:01:34")])
def test_a_duration_is_minutes_and_seconds(seconds, text):
    assert _clock(seconds) == text


@pytest.mark.parametrize("width", [80, 140])
def test_the_bar_fits_the_terminal(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    screen = io.StringIO()
    display = Display()
    display.console = display.bar.live.console = Screen(file=screen, force_terminal=True, width=width)
    display.event({"event": "train", "steps": 20000, "step": 0})
    display.event({"event": "step", "step": 7000, "loss": 1.23456, "tokens_per_s": 12345.6})
    line = "".join(segment.text for segment in display.console.render_lines(display.bar.get_renderable())[0]).rstrip()
    assert "7000/20000" in line and line.endswith("loss 1.235 · 12346 tokens/s") and len(line) <= width


def test_a_total_that_is_unknown_shows_no_bar(shown):
    assert "tokenising" in shown([{"event": "stage", "name": "tokenise"}], terminal=True)


def test_an_unnamed_stage_is_shown_by_its_key(shown):
    assert "merging weights" in shown([{"event": "stage", "name": "merging weights"}], terminal=False)


def test_messages_are_not_markup(shown):
    output = shown([], terminal=False, before=lambda display: display.say("data", "[red]rows[/red] [/x] from [bold]"))
    assert "[red]rows[/red] [/x] from [bold]" in output


def test_lines_go_to_stderr_because_stdout_is_for_data(capsys):
    with Display() as display:
        display.say("data", "48 rows in")
    captured = capsys.readouterr()
    assert captured.out == "" and "48 rows in" in captured.err


def test_forced_colours_draw_no_bar_in_a_pipe(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as Jupyter and CI do
    with Display() as display:
        for done in range(3):
            display.show("training", 3, done, "")
    assert "\x1b" not in capsys.readouterr().err


IN_TERMINAL = """
import sys
from recipekit.schemas.base.terminal import TerminalStream
from recipekit.runner.runtime.console import Display

sys.stdout, sys.stderr = TerminalStream(sys.stdout), TerminalStream(sys.stderr)
with Display() as display:
    display.event({"event": "train", "steps": 4, "step": 0})
    display.event({"event": "step", "step": 1, "loss": 2.5})
    display.bar.refresh()
    display.say("data", "rows \x1b[2J of a hostile name")
    display.clear()
"""


def test_data_cannot_move_a_terminals_cursor():
    code, written = in_terminal(code=IN_TERMINAL)
    assert code == 0 and "\x1b[2K" in written and "\r" in written
    assert "rows \\x1b[2J of a hostile name" in written and "\\x1b" not in written.replace("\\x1b[2J", "") and "\\r" not in written


FAILS = """
from recipekit.runner.runtime.console import Display

display = Display()
try:
    with display:
        display.event({"event": "train", "steps": 4, "step": 0})
        print("before:", display.bar.live.is_started, flush=True)
        raise KeyError
except KeyError:
    print("after:", display.bar.live.is_started)
"""


def test_the_bar_is_taken_away_when_a_block_fails():
    code, written = in_terminal(code=FAILS)
    assert code == 0 and "before: True" in written and "after: False" in written


PRINTS_A_RESULT = """
import sys
from recipekit.schemas.base.screen import Screen
from recipekit.runner.runtime.console import Display

with Display() as display:
    display.event({"event": "train", "steps": 4, "step": 0})
    Screen(file=sys.stdout).print("a result")
    print("its path")
"""


def test_a_result_printed_beside_the_bar_goes_to_stdout(tmp_path):
    """rich would send it to stderr, with the bar."""
    code, written = in_terminal(code=f"import sys; sys.stdout = open({str(tmp_path / 'out')!r}, 'w')\n{PRINTS_A_RESULT}")
    assert code == 0 and "result" not in written
    assert (tmp_path / "out").read_text() == "a result\nits path\n"
