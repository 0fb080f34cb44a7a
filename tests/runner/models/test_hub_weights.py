"""The weights of a model on the hub: pickles are refused before they are fetched."""

import json
import os
import subprocess
import sys

import pytest

from ...support.hub_server import Repository, serve

pytest.importorskip("huggingface_hub", reason="needs the extra [train]")
PROGRAM = """
import sys
from recipekit.runner.models.hub import require_weights
from recipekit.schemas.base.errors import UserError
try:
    require_weights("some/model", None)
except UserError as error:
    print(error)
"""
SMALL = {"config.json": b'{"model_type": "llama"}', "tokenizer.json": b"{}"}


def required(folder, files) -> tuple[str, list[str]]:
    """What was said of a model with these files on a hub, and what the hub was asked for."""
    with serve() as hub:
        hub.repositories["some/model"] = Repository({"main": "c" * 40}, {"c" * 40: files})
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env={**os.environ, **hub.environment(folder)}, capture_output=True, text=True
        )
        return done.stdout + done.stderr * ("Traceback" in done.stderr), hub.requests


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "model.pt"])
def test_weights_that_are_only_pickles_are_refused_and_not_fetched(tmp_path, name):
    message, asked = required(tmp_path, {**SMALL, name: b"weights", "training_args.bin": b"x", "onnx/model.safetensors": b"elsewhere"})
    assert message.startswith(f"some/model/{name}: stores the weights as a pickle, which can run code when it is loaded")
    assert not [request for request in asked if request.endswith(name)]


def test_weights_in_safetensors_pass_next_to_pickles_and_are_not_fetched_yet(tmp_path):
    message, asked = required(tmp_path, {**SMALL, "pytorch_model.bin": b"weights", "model.safetensors": b"weights"})
    assert message == ""
    assert not [request for request in asked if request.endswith((".bin", ".safetensors"))]


@pytest.mark.parametrize("config", ["[" * 1000, json.dumps({"_attn_implementation": "someone/kernel"})])
def test_a_configuration_on_the_hub_is_checked_like_that_of_a_folder(tmp_path, config):
    message, _ = required(tmp_path, {**SMALL, "config.json": config.encode(), "model.safetensors": b"weights"})
    assert "config.json: " in message and "Traceback" not in message
