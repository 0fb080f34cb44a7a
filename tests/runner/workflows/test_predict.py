"""`recipe predict`: the rows of a file, each with what the model makes of it, also when it is killed on the way.

That a prediction is what the evaluation measured: test_run.py, test_classification.py and test_text.py.
"""

import json
import shutil
import signal
from pathlib import Path

import pytest
from recipekit.runner.runtime.run_folder import RunFolder

from ...support.held_process import held_after_lines, wait_for_held
from ...support.jsonl import write_jsonl
from ...support.recipe_process import start
from ...support.tiny import ANIMALS
from ...support.waiting import wait_until

OPTIONS = ("--converter", "messages", "--batch-size", "4", "--max-tokens", "24", "--temperature", "1.5")


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    """Chats that end with a question, of unequal length, and two that cannot be asked."""
    path = tmp_path_factory.mktemp("new") / "new.jsonl"
    asked = [
        {"messages": [{"role": "user", "content": f"Where does the {ANIMALS[n % 12]} sleep? " * (1 + n % 5)}], "n": n} for n in range(60)
    ]
    return write_jsonl(path, [*asked, {"messages": []}, {"messages": [{"role": "user", "content": "word " * 600}], "n": 2**70}])


@pytest.fixture(scope="module")
def predicted(recipe, tuned_run, rows) -> bytes:
    """What a prediction that nothing interrupts writes."""
    done = recipe("predict", tuned_run, rows, "--json", *OPTIONS, cwd=rows.parent)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["out"], result["rows"], result["predicted"]) == ("new.jsonl.predictions.jsonl", 62, 60)
    assert not (rows.parent / "new.jsonl.predictions.jsonl.part").exists()
    return (rows.parent / result["out"]).read_bytes()


def test_every_row_comes_out_in_order_with_its_columns_and_a_reply_or_a_reason(predicted, rows) -> None:
    given = [json.loads(line) for line in rows.read_text().splitlines()]
    found = [json.loads(line) for line in predicted.splitlines()]
    assert [{key: value for key, value in row.items() if key != "prediction"} for row in found] == given
    assert all(row["prediction"]["finish_reason"] in ("stop", "length") for row in found[:60])
    assert found[60]["prediction"]["error"].startswith("no messages")
    assert "tokens; the model's limit is 512 including the reply" in found[61]["prediction"]["error"]


@pytest.fixture(scope="module")
def killed(tuned_run, rows, tmp_path_factory) -> Path:
    """What a prediction leaves that was killed after its second batch."""
    folder = tmp_path_factory.mktemp("killed")
    process = start("predict", tuned_run, rows, "--out", "out.jsonl", *OPTIONS, cwd=folder, **held_after_lines(2, folder / "site"))
    wait_for_held(folder / "site", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    left = folder / "out.jsonl.part"
    wait_until(lambda: not RunFolder(left).is_locked())  # what it had started ends a moment later
    assert not (folder / "out.jsonl").exists() and (left / "predicted.jsonl").read_bytes().count(b"\n") == 2
    return left


@pytest.mark.parametrize("damage", ["", "predicted.jsonl", "rows.jsonl", "request.json"])
def test_a_killed_prediction_continues_and_writes_the_same_bytes(recipe, predicted, killed, tuned_run, rows, tmp_path, damage) -> None:
    """What was changed meanwhile is said, and predicted again."""
    arguments = ["predict", str(tuned_run), str(rows), "--out", str(tmp_path / "out.jsonl"), *OPTIONS]
    left = shutil.copytree(killed, tmp_path / "out.jsonl.part")
    if damage:
        changed = left / damage
        content = changed.read_bytes()
        changed.write_bytes(content.partition(b"\n")[2] if damage == "predicted.jsonl" else content.replace(b"1", b"2"))
    again = recipe(*arguments)
    assert "continuing after" in again.stderr if not damage else damage in again.stderr
    assert again.returncode == 0 and again.stdout == f"{tmp_path / 'out.jsonl'}\n"
    assert (tmp_path / "out.jsonl").read_bytes() == predicted


def test_the_base_model_answers_otherwise_and_a_table_is_written_where_the_name_says_so(
    recipe, predicted, tuned_run, rows, tmp_path
) -> None:
    done = recipe("predict", tuned_run, rows, "--base", "--out", tmp_path / "out.csv", *OPTIONS)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out.csv").read_text()
    assert text.startswith("messages,n,prediction.reply,prediction.finish_reason,prediction.reply_tokens,prediction.error\n")
    replies = [json.loads(line)["prediction"].get("reply") for line in predicted.splitlines()]
    assert sum(reply in text for reply in replies if reply) < 30


def test_a_column_called_prediction_is_refused_before_anything_is_predicted(recipe, tuned_run, tmp_path) -> None:
    asked = {"messages": [{"role": "user", "content": "Where does the cat sleep?"}]}
    write_jsonl(tmp_path / "rows.jsonl", [asked, {**asked, "prediction.label": "cat"}])
    done = recipe("predict", tuned_run, tmp_path / "rows.jsonl", "--out", tmp_path / "out.jsonl", *OPTIONS)
    assert done.returncode == 1 and "rows.jsonl:2: has a column 'prediction.label'" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
