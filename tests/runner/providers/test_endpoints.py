"""Addresses and keys."""

import pytest
from recipekit.runner.providers.endpoints import SERVICES, endpoint
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.generate_sections import Provider
from recipekit.schemas.json_schema import schema


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in SERVICES.values():
        for name in service.key_names:
            monkeypatch.delenv(name, raising=False)


def test_every_provider_of_the_schema_is_in_the_table() -> None:
    assert sorted(SERVICES) == schema("recipe")["$defs"]["provider"]["properties"]["provider"]["enum"]


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if service.key_names])
def test_a_provider_is_asked_at_its_own_address_over_https_with_its_own_key(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key_name in SERVICES[name].key_names:
        monkeypatch.setenv(key_name, " the-key ")
        ready = endpoint(Provider(name, "m"))
        assert ready.base_url.startswith("https://")
        assert ready.key == "the-key"
        assert "the-key" not in repr(ready) + str(ready)
        monkeypatch.delenv(key_name)
    with pytest.raises(UserError, match=f"{SERVICES[name].key_names[0]}.* is not set\n    hint: export"):
        endpoint(Provider(name, "m"))
    assert endpoint(Provider(name, "m"), with_key=False).key == ""


def test_the_recipe_may_name_another_variable_and_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "k")
    ready = endpoint(Provider("openai", "m", base_url="https://gateway.example.org/v1", key_name="OTHER_KEY"))
    assert (ready.base_url, ready.key) == ("https://gateway.example.org/v1", "k")
    assert ready.identity != endpoint(Provider("openai", "m", key_name="OTHER_KEY")).identity, "another model may have that name there"


def test_a_key_may_come_from_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend

    class Own(KeyringBackend):
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return {("recipekit", "OPENAI_API_KEY"): "from-keyring"}.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None: ...
        def delete_password(self, service: str, username: str) -> None: ...

    before = keyring.get_keyring()
    keyring.set_keyring(Own())
    try:
        assert endpoint(Provider("openai", "m")).key == "from-keyring"
    finally:
        keyring.set_keyring(before)


def test_a_model_that_is_served_here_needs_no_key() -> None:
    ready = endpoint(Provider("local", "embedded:x"), "http://127.0.0.1:9/v1", "weights@1")
    assert (ready.base_url, ready.identity, ready.key) == ("http://127.0.0.1:9/v1", "weights@1", "")
