"""Importing a configuration that is given as values."""

import pytest
from recipekit.runner.importing.importing import import_config
from recipekit.schemas.yaml_source import parse_yaml
from recipekit.schemas.yaml_writing import to_yaml


@pytest.fixture
def imported(tmp_path):
    """Imports a configuration given as values, or as a text; gives the recipe's values, the statuses by key, and the rest."""

    def read(values, tool=None):
        path = tmp_path / "config.yml"
        path.write_text(values if isinstance(values, str) else to_yaml(values), encoding="utf-8")
        found = import_config(path, tool, "made", tmp_path)
        return parse_yaml(found.text, "made").data, {entry.key: entry for _, entry in found.account}, found

    return read
