"""A run in unusual environments: names, homes, caches, links, permissions, Python's own settings, Google Colab."""

import json
import os
import stat

import pytest

from ...support.tiny import write_recipe

SETTINGS = ("training.max_steps=2", "training.eval_steps=2", "training.save_steps=1", "evaluation.max_rows=2", "evaluation.metrics=[perplexity]",
            "evaluation.generation.max_new_tokens=null")  # fmt: skip
# Nobody, not even root, can make a folder in /proc.
HOSTILE = {
    "HOME": "/proc/nothing",
    "HF_HOME": "/proc/nothing/hf",
    "XDG_CACHE_HOME": "/proc/nothing/cache",
    "PYTHONOPTIMIZE": "2",
    "LC_ALL": "C",
    "COLAB_RELEASE_TAG": "release-colab",  # with such a name Axolotl asks for a GPU
}


@pytest.mark.train
@pytest.mark.long
def test_a_run_needs_no_home_no_plain_names_and_no_assertions(recipe, tiny_model, tmp_path):
    """It is private too: with this umask, nobody else can read its files."""
    folder = tmp_path / "we ird\n\"q'$(touch x) ☃"
    (folder / "elsewhere").mkdir(parents=True)
    (folder / "runs").symlink_to("elsewhere")
    write_recipe(folder, tiny_model, rows=24)
    before = os.umask(0o077)
    try:
        done = recipe("run", "tiny.yml", "--json", *(part for text in SETTINGS for part in ("--set", text)), cwd=folder, **HOSTILE)
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    run = folder / json.loads(done.stdout)["run"]
    assert "</html>" in (run / "report.html").read_text() and not (folder / "x").exists()
    assert not [path for path in run.rglob("*") if stat.S_IMODE(path.lstat().st_mode) & 0o077 and not path.is_symlink()]
    for command in (("verify", "tiny"), ("report", "tiny"), ("runs",)):
        again = recipe(*command, cwd=folder, **HOSTILE)
        assert again.returncode == 0, again.stderr
