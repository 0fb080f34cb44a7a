"""An Axolotl configuration, and the machines that recipes are rendered for."""

from recipekit.runner.runtime.machine import Machine

SMALL = {"base_model": "a/b", "learning_rate": 1e-4, "datasets": [{"path": "rows.jsonl", "type": "chat_template"}]}
CPU = Machine()
GPU = Machine("cuda", 1, "a GPU", 24 << 30, True)
OLD_GPU = Machine("cuda", 1, "an old GPU", 16 << 30, False)
