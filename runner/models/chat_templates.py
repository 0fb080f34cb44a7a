"""The chat template that a recipe trains with, as text: the model's own or one of Axolotl's, with the recipe's prefix."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from ...schemas.model_rules import EMBEDDED
from ...schemas.sections import Model
from .known_config import local_folder
from .resolve import embedded_folder

OWN_TEMPLATE = "tokenizer_default"
FILE = "chat_template.jinja"
SETTINGS = "tokenizer_config.json"
NO_TEMPLATE_HINT = "set model.chat_template to one of Axolotl's, e.g. chatml"
SYSTEM_HINT = "set data.system_role: fold to prepend it to the first user message, or choose another model.chat_template"

# Prefixes of a chat template. They are saved with the tokenizer, so that everything that uses the model applies them.
FOLD_SYSTEM = (
    "{% if messages | length > 1 and messages[0]['role'] == 'system' %}"
    "{% set folded = messages[0]['content'] + '\n\n' + messages[1]['content'] %}"
    "{% set messages = [{'role': messages[1]['role'], 'content': folded}] + messages[2:] %}"
    "{% endif %}{{ '' }}"
)
DROP_REASONING = (
    "{% set without = namespace(reasoning=[]) %}{% for message in messages %}"
    "{% set content = message['content'] if message['role'] == 'assistant' and message['content'] is string else '' %}"
    "{% if content.lstrip().startswith('<think>') and '</think>' in content %}"
    "{% set message = dict(message, content=content.split('</think>', 1)[1].lstrip()) %}"
    "{% endif %}{% set without.reasoning = without.reasoning + [message] %}{% endfor %}"
    "{% set messages = without.reasoning %}{{ '' }}"
)


def template_prefix(fold_system: bool, drop_reasoning: bool) -> str:
    """Return the prefix of a chat template."""
    return (FOLD_SYSTEM if fold_system else "") + (DROP_REASONING if drop_reasoning else "")


def own_template(model: Model) -> str | None:
    """Return the chat template of the model's tokenizer: "" if it has none, None if the model is not on this machine."""
    folder = tokenizer_folder(model)
    if folder is None:
        return None
    if (folder / FILE).is_file():
        return (folder / FILE).read_text(encoding="utf-8", errors="replace")
    given = settings_of(folder).get("chat_template")
    if isinstance(given, list):
        given = next((entry.get("template") for entry in given if isinstance(entry, dict) and entry.get("name") == "default"), None)
    return given if isinstance(given, str) else ""


def tokenizer_folder(model: Model) -> Path | None:
    """Return the local folder with the model's tokenizer, or None."""
    name = model.base_model
    folder = local_folder(str(embedded_folder()) if name == EMBEDDED else name, model.revision)
    return folder if folder and (folder / SETTINGS).is_file() else None


def special_tokens(folder: Path) -> dict[str, str]:
    """Return the special tokens that templates use; "" for one that the tokenizer lacks."""
    given = settings_of(folder)
    texts = {name: given.get(name) or "" for name in ("bos_token", "eos_token")}
    return {name: str(text.get("content", "")) if isinstance(text, dict) else str(text) for name, text in texts.items()}


def settings_of(folder: Path) -> dict[str, Any]:
    """Return the settings of a folder's tokenizer; {} if they cannot be read, which loading it will report."""
    try:
        found = orjson.loads((folder / SETTINGS).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def axolotl_template(name: str) -> str | None:
    """Return one of Axolotl's chat templates: "" if there is none of this name, None if Axolotl is not installed."""
    package = find_spec("axolotl")
    folders = package.submodule_search_locations if package else None
    if not folders:
        return None
    path = Path(folders[0]) / "utils" / "chat_templates" / "templates" / f"{name}.jinja"
    return path.read_text(encoding="utf-8") if Path(name).name == name and path.is_file() else ""
