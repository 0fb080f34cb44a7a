"""The folders of tests/examples/converters."""

from .paths import EXAMPLES as ALL

EXAMPLES = ALL / "converters"
CASES = sorted(folder for folder in EXAMPLES.glob("*/*") if folder.is_dir())
