"""POST /classify as vLLM has it, asked of the application itself."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ...support.recipe_process import start

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.converters.building.training_form import TrainingForm
from recipekit.runner.inference.classify import Classifier
from recipekit.runner.inference.classify_server import create_classify_app
from recipekit.runner.models.reference import resolve_target

TEXTS = ["day 1: chess", "day 2: a festival with a guitar and paintings", "x"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The tiny Llama as a classifier of four labels, without the weights of its head."""
    folder = shutil.copytree(tiny_model, tmp_path_factory.mktemp("classifier") / "model")
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["LlamaForSequenceClassification"], "id2label": dict(enumerate("wxyz"))}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def classifier(folder: Path) -> Classifier:
    """The classifier, with room for 512 tokens."""
    torch.manual_seed(0)
    return Classifier(resolve_target(str(folder), folder.parent), as_json=True)


def test_the_command_prints_its_model_and_its_address_and_nothing_of_the_libraries(folder: Path) -> None:
    process = start("serve", folder, "--port", 0)
    assert process.stderr is not None
    printed = []
    with process.stderr as stderr:
        for line in stderr:
            printed.append(line)
            if line.startswith("serving "):
                break
        process.terminate()
        process.wait()
    assert [line.split()[0] for line in printed] == ["model", "texts", "serving"], "".join(printed)
    assert printed[2].split()[1].endswith("/classify")


def posted(classifier: Classifier, body: Any, host: str = "127.0.0.1") -> tuple[int, Any]:
    """The status and the body of the answer to a POST of this JSON."""
    app = create_classify_app("types", classifier, 2, ("127.0.0.1",))
    scope = {"type": "http", "method": "POST", "path": "/classify", "raw_path": b"/classify", "query_string": b"", "http_version": "1.1",
             "scheme": "http", "headers": [(b"host", host.encode())], "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1)}  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))  # pyright: ignore
    text = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], json.loads(text) if text[:1] == b"{" else text


def test_every_text_gets_its_label_and_the_probabilities_that_it_gets_alone(classifier: Classifier) -> None:
    status, answer = posted(classifier, {"model": "types", "input": TEXTS})
    assert (status, answer["object"], answer["model"]) == (200, "list", "types")
    assert answer["id"].startswith("classify-")
    alone = [classifier.classify(text) for text in TEXTS]
    for index, (one, row) in enumerate(zip(alone, answer["data"], strict=True)):
        assert (row["index"], row["label"], row["num_classes"]) == (index, one["label"], 4)
        assert row["probs"] == pytest.approx([one["probabilities"][label] for label in classifier.labels], abs=1e-5)
    tokens = sum(one["tokens"] for one in alone)
    assert answer["usage"] == {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}


def test_one_text_needs_no_list(classifier: Classifier) -> None:
    status, answer = posted(classifier, {"input": TEXTS[0]})
    assert status == 200 and len(answer["data"]) == 1


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 400, "input must be a text or a list"),
        ({"input": []}, 400, "input must be a text or a list"),
        ({"input": ["a", " "]}, 400, "none of them blank"),
        ({"input": "a", "use_activation": False}, 400, "use_activation has no effect here"),
        ({"input": "a", "model": "other"}, 404, "one model: types"),
        ([], 400, "expected a JSON object"),
        ({"input": ["a", "word " * 600]}, 400, "input 1 has"),
    ],
)
def test_unclassifiable_texts_are_refused_with_a_reason(classifier: Classifier, body: Any, status: int, message: str) -> None:
    found, answer = posted(classifier, body)
    assert found == status and message in answer["error"]["message"]


def test_a_long_text_is_cut_where_the_request_says_so(classifier: Classifier) -> None:
    status, answer = posted(classifier, {"input": "word " * 600, "truncate_prompt_tokens": -1})
    assert status == 200 and answer["usage"]["prompt_tokens"] == 512


def test_a_request_with_another_host_is_refused(classifier: Classifier) -> None:
    assert posted(classifier, {"input": "a"}, host="attacker.example")[0] == 400


def test_a_text_of_which_the_training_made_no_row_is_refused_with_the_reason(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classifier, "form", TrainingForm("mbti", {}))
    status, answer = posted(classifier, {"input": ["chess", "|||"]})
    assert (status, answer["error"]["param"]) == (400, "input")
    assert answer["error"]["message"] == "'|||' cannot be classified: no posts: every post is blank"


def test_a_classifier_takes_no_system_prompt(command_line, folder: Path) -> None:
    refused = command_line("serve", folder, "--system", "Be brief.")
    assert refused.code == 1 and "--system has no effect: " in refused.err
