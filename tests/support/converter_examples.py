"""The folders of tests/examples/converters."""

from .paths import EXAMPLES as ALL

EXAMPLES = ALL / "converters"
CASES = sorted(path.parent for path in EXAMPLES.glob("*/*/expected.jsonl"))
