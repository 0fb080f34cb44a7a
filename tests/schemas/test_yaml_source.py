"""The only reader of YAML: right values, clear errors, bounded time and memory, whatever it is given."""

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipekit.schemas.base.errors import Location, UserError
from recipekit.schemas.yaml_source import MAX_BYTES, Document, parse_yaml, read_text

from ..support.counting import bytes_read, within_lines
from ..support.waiting import PATIENCE


def refusal(text: str) -> str:
    """The first line of the one error that the text gives."""
    with pytest.raises(UserError) as caught:
        parse_yaml(text, "r.yml")
    (problem,) = caught.value.problems
    return str(problem).splitlines()[0]


def hint(text: str) -> str:
    with pytest.raises(UserError) as caught:
        parse_yaml(text, "r.yml")
    return caught.value.problems[0].hint


SCALARS = {
    "2e-4": 2e-4, "1e5": 1e5, "-1.5E+3": -1500.0, ".5": 0.5, "1.": 1.0, "1.10": 1.1, "+3": 3,
    "014": 14, "0o14": 12, "0x1F": 31, "-7": -7, "0": 0, "12:34:56": "12:34:56", "1_000": "1_000", "0b11": "0b11",
    "no": "no", "yes": "yes", "on": "on", "off": "off", "y": "y", "true": True, "True": True, "TRUE": True, "false": False,
    "tRUE": "tRUE", "null": None, "~": None, "": None, "Null": None, "nil": "nil", "2024-01-01": "2024-01-01",
    "'2e-4'": "2e-4", '"no"': "no", '"\\u00e9"': "é", "e5": "e5", "1e": "1e", "--1": "--1", "=": "=", "1 2": "1 2",
    "!!str 12": "12", "!!int 12": 12, "! 12": "12", "0x": "0x", "0o8": "0o8", "infinity": "infinity", "NaN": "NaN",
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), SCALARS.items())
def test_a_scalar_is_read_as_yaml_1_2_reads_it(text: str, value: object) -> None:
    read = parse_yaml(f"key: {text}", "r.yml").data["key"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "text", ["010", "042", "1_000", "-1_0", "0b11", "0x1_F", "12:30", "no", "On", "08", "7", "1_0.5", "0o14", "2024-01-45"]
)
def test_whole_numbers_and_words_of_yaml_1_1_are_read_as_pyyaml_reads_them(text: str) -> None:
    values = {
        "010": 8,
        "042": 34,
        "1_000": 1000,
        "-1_0": -10,
        "0b11": 3,
        "0x1_F": 31,
        "12:30": 750,
        "no": False,
        "On": True,
        "08": 8,
        "7": 7,
    }
    assert parse_yaml(f"key: {text}", "r.yml", is_1_1=True).data["key"] == (12 if text == "0o14" else values.get(text, text))


REFUSED = {
    "a: 1\nb: 2\na: 3": "r.yml:3:1: duplicate key 'a' (first on line 1)",
    "a:\n  b: 1\n  b: 2": "r.yml:3:3: duplicate key 'b' (first on line 2)",
    "{a: 1, a: 2}": "r.yml:1:8: duplicate key 'a' (first on line 1)",
    "a: &x [*x]": "r.yml:1:8: the alias *x contains itself",
    "a: &x {b: *x}": "r.yml:1:11: the alias *x contains itself",
    "a: *nobody": "r.yml:1:4: undefined alias *nobody",
    "a: 1\n---\nb: 2": "r.yml:2:1: more than one document",
    "": "r.yml: the file is empty",
    "# only a comment": "r.yml: the file is empty",
    "? [a, b]\n: 1": "r.yml:1:3: a key must be plain text",
    "a: !!python/object/apply:os.system [echo]": "r.yml:1:4: the tag tag:yaml.org,2002:python/object/apply:os.system is not allowed",
    "a: !!set {b}": "r.yml:1:4: the tag tag:yaml.org,2002:set is not allowed",
    "a: !mine 1": "r.yml:1:4: the tag !mine is not allowed",
    "a: .inf": "r.yml:1:4: .inf is not a finite number",
    "a: -.INF": "r.yml:1:4: -.INF is not a finite number",
    "a: .nan": "r.yml:1:4: .nan is not a finite number",
    "a: 1e999": "r.yml:1:4: 1e999 is too large for a number",
    "a: " + "9" * 5000: "r.yml:1:4: a number of 5000 digits",
    '"a\\0b": 1': "r.yml:1:1: text contains the character U+0000",
    'a: "b\\0"': "r.yml:1:4: text contains the character U+0000",
    "<<: 3": "r.yml:1:5: << needs a mapping",
    "a:\n\tb: 1": "r.yml:2:1: not YAML: found character that cannot start any token",
    "a: b: c": "r.yml:1:5: not YAML: mapping values are not allowed in this context",
    "a: [1, 2": "r.yml:1:9: not YAML: did not find expected ',' or ']'",
    "a: 'open": "r.yml:1:9: not YAML: found unexpected end of stream",
    "a: @b": "r.yml:1:4: not YAML: found character that cannot start any token",
    "a: \x07": "r.yml:1:4: not YAML: the control character U+0007",
    "a: 1\nb: x\x00y": "r.yml:2:5: not YAML: the control character U+0000",
    'a: "\\ud800"': "r.yml:1:7: not YAML: found invalid Unicode character escape code",
}  # fmt: skip


@pytest.mark.parametrize(("text", "first_line"), REFUSED.items(), ids=range(len(REFUSED)))
def test_unsupported_yaml_is_refused_with_its_location(text: str, first_line: str) -> None:
    assert refusal(text) == first_line


def test_hints_name_the_fix() -> None:
    assert hint("a:\n\tb: 1") == "indent with spaces, not tabs"
    assert "indentation" in hint("a: b: c")
    assert "remove one" in hint("a: 1\na: 2")
    assert "remove everything after ---" in hint("a: 1\n---\n")


def nested(depth: int) -> dict[str, str]:
    return {
        "flow lists": "a: " + "[" * depth + "]" * depth,
        "flow lists left open": "[" * depth,
        "flow mappings": "{a: " * depth + "1" + "}" * depth,
        "block lists": "- " * depth + "1",
        "block mappings": "\n".join(" " * index + "a:" for index in range(min(depth, 1300))),
        "complex keys": "? " * depth,
    }


def laughs(levels: int, merge: bool) -> str:
    lines = ["a0: &a0 {x: 1}"]
    for level in range(1, levels):
        uses = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} {{<<: [{uses}]}}" if merge else f"a{level}: &a{level} [{uses}]")
    return "\n".join(lines)


BOMBS = {
    **{f"50 000 {name}": text for name, text in nested(50_000).items()},
    "a billion laughs": laughs(10, merge=False),
    "a merge-key bomb": laughs(10, merge=True),
    "a wide merge": "a: &a {" + ", ".join(f"k{i}: 1" for i in range(2000)) + "}\nb:\n  <<: [" + ", ".join(["*a"] * 99) + "]",
    "101 aliases": "a: &a 1\nb: [" + ", ".join(["*a"] * 101) + "]",
    "200 000 values": "[" + ",".join("1" * 200_000) + "]",
    "a 1 MB number": "a: " + "1" * (MAX_BYTES - 10),
    "a key of 1 MB": "a" * (MAX_BYTES - 10) + ": 1",
    "half a million openers without an end": "[{" * (MAX_BYTES // 2 - 5),
    "a million quotes": '"' * (MAX_BYTES - 1),
    "a million ampersands": "&a " * (MAX_BYTES // 3),
    "more than the limit": "a" * (MAX_BYTES + 1),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_early(name: str) -> None:
    assert within_lines(5_000_000, refusal, BOMBS[name]).startswith("r.yml")


def test_bombs_take_little_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for text in BOMBS.values():
        refusal(text)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KB; a billion laughs would take 3 GB


def test_a_megabyte_of_text_is_a_value() -> None:
    text = "word " * 190_000
    assert within_lines(1_000, parse_yaml, f"a: |\n  {text}", "r.yml").data["a"].strip() == text.strip()


def test_a_few_aliases_and_merges_are_fine() -> None:
    document = parse_yaml("base: &b {x: 1, y: 2}\nmine: {<<: *b, y: 3}\nboth:\n  <<: [*b, {z: 4}]\nagain: *b", "r.yml")
    assert document.data["mine"] == {"x": 1, "y": 3}
    assert document.data["both"] == {"x": 1, "y": 2, "z": 4}
    assert document.data["again"] == {"x": 1, "y": 2}


def test_the_first_of_several_merged_mappings_wins() -> None:
    assert parse_yaml("a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b]}", "r").data["c"] == {"x": 1, "y": 2}


def test_a_quoted_merge_key_is_a_key() -> None:
    assert parse_yaml('"<<": 3', "r").data == {"<<": 3}


def test_an_anchor_may_be_set_again() -> None:
    assert parse_yaml("a: &x 1\nb: *x\nc: &x 2\nd: *x", "r").data == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_every_key_and_value_has_its_place() -> None:
    document = parse_yaml("a: 1\nb:\n  - x\n  - c: [2, 3]\n", "r.yml")
    assert document.location(("b", 1, "c", 1)) == Location("r.yml", 4, 12)
    assert document.location(("b", 1, "c"), key=True) == Location("r.yml", 4, 5)
    assert document.location(("b", 1)) == Location("r.yml", 4, 5)
    assert document.location(()) == Location("r.yml", 1, 1)


def test_a_missing_folder_uses_its_nearest_parent() -> None:
    assert parse_yaml("a:\n  b: 1\n", "r.yml").location(("a", "missing", "deeper"), key=True) == Location("r.yml", 1, 1)
    assert Document({}, {}, {}).location(("a",)) == Location("")


@pytest.mark.parametrize(
    ("raw", "value"),
    [(b"\xef\xbb\xbfa: 1", 1), (b"a: 1\r\nb: 2\r\n", 1), (b"a: 1\rb: 2", 1), ("a: \N{GRINNING FACE}".encode(), "\N{GRINNING FACE}")],
    ids=["a byte-order mark", "CRLF", "CR", "an emoji"],
)
def test_how_a_file_was_saved_does_not_matter(tmp_path: Path, raw: bytes, value: object) -> None:
    path = tmp_path / "r.yml"
    path.write_bytes(raw)
    assert parse_yaml(read_text(path), "r.yml").data["a"] == value


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ("a: é".encode("latin-1"), "r.yml:1:1: not UTF-8 text\n    hint: save it as UTF-8"),
        (b"a: 1\nb: \xff", "r.yml:2:1: not UTF-8 text\n    hint: save it as UTF-8"),
        ("a: é".encode("utf-16"), "r.yml:1:1: not UTF-8 text\n    hint: save it as UTF-8: it looks like UTF-16"),
        (b"\x80\x04\x95", "r.yml:1:1: not UTF-8 text\n    hint: save it as UTF-8"),
    ],
    ids=["latin-1", "a stray byte", "UTF-16", "a pickle"],
)
def test_text_that_is_not_utf_8_is_refused(tmp_path: Path, raw: bytes, what: str) -> None:
    (tmp_path / "r.yml").write_bytes(raw)
    with pytest.raises(UserError) as caught:
        read_text(tmp_path / "r.yml", "r.yml")
    assert str(caught.value) == what


def test_utf_16_without_a_mark_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.yml"
    path.write_bytes("a: 1".encode("utf-16-le"))
    with pytest.raises(UserError, match="control character U[+]0000"):
        parse_yaml(read_text(path), "r.yml")


def test_a_file_of_100_mb_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "r.yml"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    before = bytes_read()
    with pytest.raises(UserError, match="too large for a recipe"):
        read_text(path)
    assert bytes_read() - before < 2 * MAX_BYTES


def test_an_endless_file_is_refused() -> None:
    with pytest.raises(UserError, match="too large for a recipe"):
        read_text(Path("/dev/zero"))


@pytest.mark.parametrize(("name", "what"), [("missing.yml", "no such file"), (".", "cannot be read: Is a directory")])
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, name: str, what: str) -> None:
    with pytest.raises(UserError, match=what):
        read_text(tmp_path / name)


def test_the_folder_of_a_run_names_its_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.yml").touch()
    with pytest.raises(UserError, match=f"hint: the recipe of this run is {tmp_path}/recipe.yml"):
        read_text(tmp_path)


def test_text_that_is_not_utf_8_on_the_command_line_is_refused() -> None:
    assert refusal("a: \udcff") == "r.yml: not UTF-8 text"


def test_without_the_c_parser_the_same_values_and_errors_come_out() -> None:
    script = """if True:
        import yaml
        del yaml.CSafeLoader
        from recipekit.schemas import yaml_source
        from recipekit.schemas.base.errors import UserError
        assert yaml_source._PARSER is yaml.SafeLoader
        assert yaml_source.parse_yaml("a: [2e-4, no, {b: 014}]", "r").data == {"a": [2e-4, "no", {"b": 14}]}
        for text in ("[" * 3000, "a: 1\\na: 2", "a: \\x07", "a: &x [*x]", "a:\\n\\tb: 1"):
            try:
                yaml_source.parse_yaml(text, "r")
            except UserError:
                continue
            raise SystemExit(f"taken: {text[:20]!r}")
    """
    subprocess.run([sys.executable, "-c", script], check=True, timeout=PATIENCE)


characters = st.characters(exclude_categories=["Cs", "Cc", "Cn"])
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(characters, max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(characters, max_size=9), inner),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=300)
@given(plain)
def test_json_is_read_as_json(value: object) -> None:
    import json

    assert parse_yaml(json.dumps({"v": value}, ensure_ascii=False), "r").data == {"v": value}


@settings(max_examples=500)
@given(st.text("{}[]:,-?&*!|>'\"%@`#<~ \n\tab01.e\\\x00\x07é\ud7ff😀", max_size=60))
def test_any_text_gives_a_value_or_an_error_with_a_place(text: str) -> None:
    try:
        parse_yaml(text, "r.yml")
    except UserError as error:
        assert all(problem.location.file == "r.yml" and problem.what for problem in error.problems)


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_quote_that_is_not_closed_is_named_with_its_line(quote: str) -> None:
    assert hint(f"a: 1\nb: {quote}open\nc: 2\nd: 3\n") == "a quote is not closed: it begins on line 2"


LINES = st.sampled_from(
    ["a: 1", "b:", "  - x", "  - {c: [2, 3], d: e}", "  e: 'f", "  g'", "h: |", "   text", "i: >-", "", "# note", "\tj: 1", "k: &a {l: 1}", "m: *a",
     "n: {<<: *a}", "é: 😀", "? o", "p: \"q", "  r\"", "[s, t", "]", "u: \u2028v", "w: x\x85y", "---", "...", "a: 2", "z: {a: 1, a: 2}", "!!int q", "- - -", "'"]
)  # fmt: skip


@settings(max_examples=400)
@given(st.lists(LINES, max_size=9), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_every_place_is_within_the_file(lines: list[str], end: str, is_1_1: bool) -> None:
    """As an editor counts: lines that \\n, \\r\\n, \\r and the three line breaks of YAML 1.1 end, characters, both from 1; the end is a place."""
    text = end.join(lines)
    counted = re.split("\r\n|[\n\r\x85\u2028\u2029]", text)
    try:
        document = parse_yaml(text, "r.yml", is_1_1=is_1_1)
        places = [*document.keys.values(), *document.values.values()]
    except UserError as error:
        places = [problem.location for problem in error.problems]
    for place in places:
        assert place.file == "r.yml" and 0 <= place.line <= len(counted), place
        assert place.line == 0 or 1 <= place.column <= len(counted[place.line - 1]) + 1, (place, text)
