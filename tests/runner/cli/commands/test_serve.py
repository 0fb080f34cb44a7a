"""`recipe serve`: what is refused. What is answered: tests/runner/inference/test_server.py."""


def test_a_refused_model_leaves_no_socket_open(recipe, tiny_gpt2, tmp_path):
    done = recipe("serve", tiny_gpt2, "--port", 0, cwd=tmp_path, PYTHONWARNINGS="default::ResourceWarning")
    assert done.returncode == 1 and "has no chat template" in done.stderr, done.stderr
    assert "unclosed <socket" not in done.stderr
