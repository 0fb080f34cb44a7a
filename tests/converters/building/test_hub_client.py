"""What the hub's client waits for has an end."""

import pytest
from recipekit.converters.building.hub_client import SILENT_SECONDS, limit_hub_client


def test_every_hub_client_has_a_timeout() -> None:
    utils = pytest.importorskip("huggingface_hub.utils", reason="needs the extra [data]: huggingface_hub")
    limit_hub_client()
    assert utils.get_session().timeout.read == SILENT_SECONDS
    utils.close_session()
    assert utils.get_session().timeout.connect == SILENT_SECONDS
