"""A run whose chat template leaves out words ends before the model is loaded."""

import struct

import pytest

from ...support.tiny import write_recipe

pytestmark = [pytest.mark.train, pytest.mark.long]
LOSING = "{% for m in messages %}{% if m['role'] != 'system' %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endif %}{% endfor %}"
NO_TENSORS = struct.pack("<Q", 2) + b"{}"  # a file that is read, without the model's weights


def test_lost_words_are_refused_before_the_model_is_loaded(tmp_path, tiny_model, recipe):
    model = tmp_path / "model"
    model.mkdir()
    for file in tiny_model.iterdir():
        (model / file.name).write_bytes(file.read_bytes() if file.suffix != ".safetensors" else NO_TENSORS)
    (model / "chat_template.jinja").write_text(LOSING)
    done = recipe("run", write_recipe(tmp_path, model), cwd=tmp_path)
    assert done.returncode == 1
    assert "leaves out words" in done.stderr and "Be brief." in done.stderr, done.stderr
    assert "weights" not in done.stderr, "that the model has none was not noticed"
