"""Any configuration of another tool becomes a recipe, or an error with a place in its file: never a traceback."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recipekit.runner.importing.importing import STATUSES, Tool, import_config
from recipekit.runner.importing.llama_factory_keys import OTHER_TRAININGS
from recipekit.schemas.aliases import ALIASES
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.json_schema import axolotl_fields
from recipekit.schemas.yaml_source import parse_yaml
from recipekit.schemas.yaml_writing import to_yaml

AXOLOTL: dict[str, Any] = {
    "base_model": "a/b",
    "datasets": [{"path": "rows.jsonl", "type": "chat_template"}],
    "adapter": "lora",
    "learning_rate": 1e-4,
}
FACTORY: dict[str, Any] = {"model_name_or_path": "a/b", "stage": "sft", "finetuning_type": "lora", "dataset": "x", "dataset_dir": "."}
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-3, 9), st.floats(allow_nan=False, allow_infinity=False, width=32), st.text(max_size=8),
        st.sampled_from(["auto", "a/b", "../x", "true", "{}", "\n", "sharegpt", "alpaca", "lora", 10**20, "x" * 3000, "${HOME}", "{{ a }}"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["path", "type", "field", "split", "name", "data_files", "roles", "chat_template", "x"]), inner, max_size=3),
    ),
    max_leaves=6,
)  # fmt: skip
FORMS: list[tuple[Tool, dict[str, Any], list[str]]] = [
    ("axolotl", AXOLOTL, sorted(axolotl_fields())),
    ("llamafactory", FACTORY, sorted({*OTHER_TRAININGS, *ALIASES})),
]


@pytest.mark.parametrize(("tool", "base", "keys"), FORMS, ids=[tool for tool, *_ in FORMS])
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_values_are_imported_or_refused(tmp_path: Path, tool: Tool, base: dict[str, Any], keys: list[str], data: st.DataObject) -> None:
    changes = data.draw(st.dictionaries(st.one_of(st.sampled_from(sorted(base)), st.sampled_from(keys)), VALUES, max_size=4))
    path = tmp_path / "config.yml"
    path.write_text(to_yaml(base | changes), encoding="utf-8")
    try:
        found = import_config(path, tool, "made", tmp_path)
    except UserError as error:
        assert error.problems and all(str(problem) for problem in error.problems)
        return
    assert isinstance(parse_yaml(found.text, "made.yml").data, dict)
    lines = path.read_text(encoding="utf-8").count("\n") + 1
    assert all(location.line <= lines and entry.status in STATUSES for location, entry in found.account)


LONG = "x" * 3000
NAMED: list[tuple[Tool, dict[str, Any]]] = [
    ("axolotl", AXOLOTL | {"deepspeed": LONG}), ("axolotl", AXOLOTL | {"datasets": [{"path": LONG, "type": "chat_template"}]}),
    ("llamafactory", FACTORY | {"deepspeed": LONG}), ("llamafactory", FACTORY | {"dataset_dir": LONG}), ("llamafactory", FACTORY | {"dataset": LONG}),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "values"), NAMED, ids=range(len(NAMED)))
def test_a_name_that_no_file_can_have_is_the_name_of_none(tmp_path: Path, tool: Tool, values: dict[str, Any]) -> None:
    (path := tmp_path / "config.yml").write_text(to_yaml(values), encoding="utf-8")
    assert import_config(path, tool, "made", tmp_path).account
