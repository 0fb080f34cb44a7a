"""Regular expressions end on any text: data, replies and files of others choose it."""

import subprocess
import sys

import pytest

from .support.paths import ROOT
from .support.waiting import PATIENCE

ROOMS = ("converters", "runner", "schemas")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py") if "re.compile(" in path.read_text())
# Sixty times a character, or two: a pattern that can divide them in many ways would try them all, which takes years.
TRY = r"""
import re, sys
from importlib import import_module
from itertools import product

def patterns(value, depth=0):
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict | list | tuple | set | frozenset) and depth < 4:
        for item in [*value, *(value.values() if isinstance(value, dict) else ())]:
            yield from patterns(item, depth + 1)

tried = set()
for name in sys.argv[1:]:
    for pattern in patterns(vars(import_module(name))):
        if pattern in tried:
            continue
        tried.add(pattern)
        print(name, repr(pattern.pattern), flush=True)
        text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
        characters = sorted({*text, *" \n\t\r0aA_-#.\"'"})
        for one, other in product(characters, ["", " ", "\n", "a", "0"]):
            for run in ((one + other) * 60, (one * 3 + other) * 20):
                given = run + "\x01" if isinstance(pattern.pattern, str) else (run + "\x01").encode("latin-1", "replace")
                pattern.match(given), pattern.search(given)
print(len(tried))
"""


def test_every_pattern_ends_on_what_is_repeated() -> None:
    pytest.importorskip("torch", reason="needs the extra [train]: some of the modules import it")
    names = ["recipekit." + ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES]
    try:
        done = subprocess.run([sys.executable, "-c", TRY, *names], capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        pytest.fail("does not end: " + (error.stdout or b"").decode().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) >= 100
