"""Write commands of jq that can be pasted into a shell, whatever the columns and files are called."""

import json
import re
import shlex

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def step(name: str) -> str:
    """Return a column's name as jq's paths and objects take it: names with other letters are quoted."""
    return name if _NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def command(filter_: str, file: str, written: str) -> str:
    """Return the command that writes the rows of a file, through a filter, to another."""
    return f"jq -c {shlex.quote(filter_)} {shlex.quote(file)} > {written}"
