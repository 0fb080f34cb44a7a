"""Whatever a file holds, every row that can be read is read, and every other one is a drop with its line and reason."""

import gzip
import io
import json
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.reading import bounded_lines, json_items, readers
from recipekit.converters.reading.files import HEAD, SourceFile
from recipekit.converters.reading.readers import parsed_line, read_file, read_json
from recipekit.converters.reading.records import Drop, Row
from recipekit.schemas.base.errors import UserError


@pytest.fixture
def read(tmp_path):
    def run(content, reads="values", name="rows.txt"):
        path = tmp_path / name
        path.write_bytes(content)
        kind, items = read_file(SourceFile(path, name), reads)
        return kind, list(items)

    return run


def results(items):
    return [(i.row.line, i.reason) if isinstance(i, Drop) else (i.line, i.value) for i in items]


LONG = 3000


@pytest.fixture
def short(monkeypatch):
    """Caps of a thousand bytes in place of 64 MB."""
    monkeypatch.setattr(bounded_lines, "MAX_LINE", 1000)
    monkeypatch.setattr(json_items, "MAX_ITEM", 1000)
    monkeypatch.setattr(json_items, "BLOCK", 100)


# What can befall a line of JSON, and what is said of it.
BROKEN = [
    (b'{"a": ' + b"1" * LONG + b"}", "line_too_long"),
    (b'{"a": "\xff"}', "not_utf8"),
    (b'{"a": "\\ud83d"}', "invalid_json"),
    (b'{"a": NaN}', "invalid_json"),
    (b'{"a": -Infinity}', "invalid_json"),
    (b'{"a": 1e400}', "invalid_json"),
    (b'{"a": \0}', "invalid_json"),
    (b'{"a": "\0"}', "invalid_json"),
    (b'\xef\xbb\xbf{"a": 1', "invalid_json"),
    (b'{"a": 1}\r{"a": 2}', "invalid_json"),
    (b'{"a": 1', "invalid_json"),
    (b"{'a': 1}", "invalid_json"),
    (b"[" * 900 + b"]" * 50, "invalid_json"),
]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(("line", "reason"), BROKEN, ids=[repr(line[:20]) for line, _ in BROKEN])
def test_a_broken_line_costs_that_line_only(read, line, reason):
    kind, items = read(b'{"a": 0}\n' + line + b'\n\n{"a": 3}')
    assert kind == "jsonl"
    assert results(items) == [(1, {"a": 0}), (2, reason), (4, {"a": 3})]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("value", "reason"), [(value, reason) for value, reason in BROKEN if b"}\r{" not in value and value[:1] == b"{" and value[-1:] == b"}"]
)
def test_a_broken_element_costs_that_element_only(read, value, reason):
    kind, items = read(b'[{"a": 0},\n' + value + b',\n{"a": 3}]')
    assert kind == "json"
    assert results(items) == [(1, {"a": 0}), (2, reason.replace("line", "value")), (3, {"a": 3})]


def test_a_fault_is_reported_with_its_column(read):
    _, (_, drop) = read(b'{"a": 1}\n{"a": 1, b}\n')
    assert str(drop).startswith("rows.txt:2: invalid_json: column 10: ")


def test_a_row_with_two_equal_keys_is_refused_with_the_key(read):
    assert [str(drop) for drop in read(b'{"a": 1, "a": 2}')[1]] == ["rows.txt:1: duplicate_key: 'a'"]


def test_a_whole_number_of_any_size_stays_as_it_is_written(read):
    numbers = [18446744073709551615, 18446744073709551616, -(10**40)]
    assert [value["a"] for _, value in results(read("\n".join(f'{{"a": {number}}}' for number in numbers).encode())[1])] == numbers


# Written anew after the kinds of cases that JSON test suites have: what must be read, and what must not.
GOOD = ['""', '"\\u0060\\u012a\\u12AB"', '"\\uD801\\udc37"', '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\x7f"', '"\u2028\u2029"', '"\\u0000"', '"€𝄞"', "0", "-0", "-1",
        "1E22", "1E-2", "1e+2", "123.456e78", "0.1", "-0.0", "true", "false", "null", "[]", "{}", "[[]]", '{"": 0}', '{"a": {"b": [1]}}', " 1 ",
        "\t1\r\n", "[" * 500 + "]" * 500]  # fmt: skip
BAD = ["1.", ".5", "01", "-", "+1", "1e", "0x1", "1_0", "--1", "1.e1", "- 1", "１", "Inf", "nan", "True", "nul", "'a'", '"', '"\\x"', '"\\u12"', '"\\uD800"',
       '"\\uD800\\uD800"', '"\t"', '"\n"', '"a', "[1", "[1,]", "[,1]", "[1,,2]", "[1 2]", "{1: 1}", "{a: 1}", '{"a"}', '{"a":}', '{"a": 1,}', '{"a": 1 "b": 2}',
       '{"a", 1}', '{"a": 1,, "b": 2}', "{,}", '{"a": 1]', "[1}", "1 # one", "/* */ 1", "\ufeff1", "\x0b1", "\xa01", "]", "[" * 100_000, "1" * 400 + "e"]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_json_that_is_right_is_read_as_a_line_and_as_an_element(read, text):
    expected = json.loads(text)
    assert [value for _, value in results(read(f"[0, {text}, 2]".encode())[1])] == [0, expected, 2]
    if "\n" not in text:
        assert [value for _, value in results(read(f'{{"a": {text}}}\n{{}}'.encode())[1])] == [{"a": expected}, {}]


@pytest.mark.parametrize("text", BAD, ids=[repr(text[:20]) for text in BAD])
def test_json_that_is_wrong_is_refused_as_a_line_and_as_an_element(read, text):
    lines = results(read(b'{"a": 1}\n' + f'{{"a": {text}}}\n{{}}'.encode())[1])
    assert lines[0] == (1, {"a": 1})
    assert "invalid_json" in [found for _, found in lines]
    assert lines[-1] == (3 + text.count("\n"), {})
    assert "invalid_json" in [found for _, found in results(read(f"[0, {text}]".encode())[1])]


@pytest.mark.parametrize(
    "text", [b"[1, 2", b"[1]]", b"[1,]", b"[1}", b"[", b"[1]x", b'{"a": 1}}', b'{"a": 1', b"{", b'{"a": 1},', b"[1,\n1\n,1"]
)
def test_an_invalid_document_is_dropped(read, text):
    assert "invalid_json" in [found for _, found in results(read(text)[1])]


def test_documents_that_follow_each_other_are_read_by_choice(read):
    assert [value for _, value in results(read(b"[1][2]\n[3]")[1])] == [1, 2, 3]


ROWS = [{"a": 1}, {"a": "字\n"}, {"a": [3]}]
FORMS = {
    "array": ("json", json.dumps(ROWS)),
    "pretty array": ("json", json.dumps(ROWS, indent=2)),
    "lines": ("jsonl", "\n".join(map(json.dumps, ROWS))),
    "pretty objects": ("json", "\n".join(json.dumps(row, indent=2) for row in ROWS)),
    "objects on a line": ("json", "".join(map(json.dumps, ROWS))),
    "objects after carriage returns": ("json", "\r".join(map(json.dumps, ROWS))),
    "lines with carriage returns": ("jsonl", "\r\n".join(map(json.dumps, ROWS))),
    "a byte order mark": ("jsonl", "\ufeff" + "\n".join(map(json.dumps, ROWS))),
    "comments": ("json with comments", "// rows\n" + json.dumps(ROWS, indent=2).replace("\n]", ",\n// {}\n]")),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows.csv", "rows"])
def test_the_form_is_recognised_by_the_content_whatever_the_name(read, form, name):
    kind, text = FORMS[form]
    assert read(text.encode(), name=name)[0] == kind
    assert [value for _, value in results(read(text.encode(), name=name)[1])] == ROWS


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_of_text_end_as_they_do_anywhere(read, end):
    _, items = read(end.join(["one", "", "two three", ""]).encode(), "lines")
    assert results(items) == [(1, "one"), (2, ""), (3, "two three")]


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n", b"\r\n"])
def test_lines_of_text_come_without_their_ends(read, end):
    kind, items = read(b"\xef\xbb\xbfone\r\n\n two " + end, "lines")
    assert kind == "text"
    assert results(items)[:3] == [(1, "one"), (2, ""), (3, " two ")]


@pytest.mark.usefixtures("short")
def test_a_bad_line_of_text_costs_that_line_only(read):
    _, items = read(b"one\n\xff\n" + b"x" * LONG + b"\nfo\0ur\n" + "字".encode("gb18030") + b"\nsix" + b" word" * 20, "lines")
    assert [found for _, found in results(items)] == ["one", "not_utf8", "line_too_long", "nul_byte", "not_utf8", "six" + " word" * 20]


@pytest.mark.usefixtures("short")
def test_a_whole_text_is_one_row_or_one_drop(read):
    assert results(read("字\n".encode(), "files")[1]) == [(1, "字\n")]
    assert results(read(b"x" * LONG, "files")[1]) == [(1, "text_too_long")]
    assert results(read(b"\xff", "files")[1]) == [(1, "not_utf8")]
    assert results(read(b"", "files")[1]) == [(1, "")]


@pytest.mark.parametrize("reads", ["lines", "files"])
def test_a_binary_file_among_texts_is_one_drop(read, reads):
    kind, items = read(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 1000, reads)
    assert (kind, results(items)) == ("binary", [(1, "binary_file")])


def archives():
    tarred, zipped = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as file:
        for name in ("../../outside", "/outside", "link"):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = (tarfile.SYMTYPE, "/etc/passwd") if name == "link" else (tarfile.REGTYPE, "")
            file.addfile(info)
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb", bytes(10 << 20))
        file.writestr("../../outside", "{}")
    packed = {"tar": tarred.getvalue(), "zip": zipped.getvalue(), "tar.gz": gzip.compress(tarred.getvalue())}
    return packed | {
        "gz.gz": gzip.compress(gzip.compress(b"{}")),
        "bz2": b"BZh91AY&SY",
        "xz": b"\xfd7zXZ\0\0\4",
        "utf-16": '{"a": 1}'.encode("utf-16"),
    }


@pytest.mark.parametrize("reads", ["values", "lines", "files"])
@pytest.mark.parametrize("kind", archives())
def test_an_archive_is_refused_before_unpacking(read, tmp_path, reads, kind):
    with pytest.raises(UserError, match="which cannot be read") as caught:
        read(archives()[kind], reads)
    assert caught.value.problems[0].hint
    assert [path.name for path in tmp_path.iterdir()] == ["rows.txt"]


def test_an_uncompressed_file_named_gz_is_read(read):
    assert results(read(b'{"a": 1}\n', name="rows.jsonl.gz")[1]) == [(1, {"a": 1})]


def test_a_compressed_file_larger_than_its_head_is_read(read):
    lines = b"".join(b'{"a": %d}\n' % n for n in range(HEAD // 4))
    assert len(read(gzip.compress(lines))[1]) == HEAD // 4


def test_a_file_that_is_broken_at_its_head_is_named(read):
    with pytest.raises(UserError, match=r"rows.txt: cannot be read to its end"):
        read(gzip.compress(b'{"a": 1}\n')[:15])


LINE = st.one_of(
    st.dictionaries(st.text(max_size=3), st.integers(0, 9) | st.text(max_size=5), max_size=2).map(lambda v: json.dumps(v).encode()),
    st.sampled_from([line for line, _ in BROKEN if len(line) < 1000 and b"\r" not in line]),
    st.sampled_from([b"", b" ", b"\t"]),
)


@given(st.lists(LINE, max_size=20), st.sampled_from([b"\n", b"\r\n"]))
def test_every_line_that_is_not_blank_is_a_row_or_a_drop(tmp_path_factory, lines, end):
    path = tmp_path_factory.getbasetemp() / "lines.jsonl"
    path.write_bytes(b'{"first": 1}' + end + end.join(lines))
    items = list(read_file(SourceFile(path, "a"), "values")[1])
    assert [line for line, _ in results(items)] == [1, *(n for n, line in enumerate(lines, 2) if line.strip())]


@given(st.binary(max_size=200), st.sampled_from(["values", "lines", "files"]))
def test_any_bytes_give_rows_drops_or_a_refusal(tmp_path_factory, content, reads):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    try:
        items = list(read_file(SourceFile(path, "any"), reads)[1])
    except UserError as error:
        assert error.problems[0].location.file
    else:
        if reads == "lines" and items and not isinstance(items[0], Drop):
            assert len(items) == content.count(b"\n") + (not content.endswith(b"\n"))


@pytest.mark.parametrize(
    "content",
    [
        b"{}" * 100_000,
        b"[" + b"0," * 100_000 + b"0]",
        b"[" + b"{ }," * 100_000,
        b"[" + b"," * 100_000 + b"]",
        b"[1" + b" ,\n" * 50_000,
        b"{}" + b"]" * 100_000,
        b"[[]" + b"}]" * 50_000,
    ],
)
def test_a_file_of_only_commas_or_brackets_is_refused_early(content, monkeypatch):
    parsed = []
    monkeypatch.setattr(readers, "parsed_line", lambda *arguments: parsed.append(1) or parsed_line(*arguments))
    with pytest.raises(UserError, match="more than 1,000 consecutive values are empty"):
        list(read_json(io.BytesIO(content), "f"))
    assert len(parsed) <= readers.MAX_EMPTY + 2


def test_a_thousand_empty_values_are_a_thousand_drops_and_the_others_rows():
    found = list(read_json(io.BytesIO(b'["a"' + b"," * 1000 + b',"b"' + b"," * 1000 + b',"c"]'), "f"))
    assert [row.value for row in found if not isinstance(row, Drop)] == ["a", "b", "c"]
    assert sum(isinstance(row, Drop) for row in found) == 2000


def test_lines_above_a_table_are_skipped_and_rows_keep_their_line(tmp_path):
    path = tmp_path / "sheet.csv"
    path.write_text("My questions;\n\nquestion;answer\nWhy?;So.\n", "utf-8")
    for encoding in ("utf-8", "utf-16"):
        path.write_bytes(path.read_bytes() if encoding == "utf-8" else path.read_text("utf-8").encode(encoding))
        kind, rows = read_file(SourceFile(path, "sheet.csv", encoding=encoding, skip_lines=2), "values")
        assert kind == "csv with semicolons" and [*rows] == [Row({"question": "Why?", "answer": "So."}, "sheet.csv", 4)]


def test_the_rows_of_an_object_are_those_of_the_named_list(tmp_path):
    path = tmp_path / "export.json"
    path.write_text('{"version": 1,\n "data": [{"a": 1},\n{"a": 2}], "more": [{"a": 3}]}')
    assert [*read_file(SourceFile(path, "e", field="data"), "values")[1]] == [Row({"a": 1}, "e", 2), Row({"a": 2}, "e", 3)]
    (drop,) = read_file(SourceFile(path, "e", field="version"), "values")[1]
    assert drop.reason == "no_such_field"


@pytest.mark.parametrize(
    ("text", "keys", "reads"),
    [('[{"a": 1}]', {"skip_lines": 1}, "values"), ("It rained.", {"skip_lines": 1}, "lines"), ("a,b\n1,2\n", {"field": "a"}, "values")],
)
def test_a_key_that_changes_nothing_in_a_file_is_refused(tmp_path, text, keys, reads):
    path = tmp_path / "data"
    path.write_text(text + "\n" + text)
    with pytest.raises(UserError, match=f"{next(iter(keys))} has no effect"):
        read_file(SourceFile(path, "data", **keys), reads)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"[" * 2000, 1),
        (b"[\n" * 2000, 1001),
        (b'{"a":' * 2000, 1),
        (b'{"a' * 4000, 1),
        (b'{"a":\n' * 2000, 1001),
        (b'[{"a": 1},\n' + b"[{" * 2000, 2),
    ],
)
def test_brackets_that_open_without_end_are_refused_with_their_line(read, monkeypatch, text, line):
    monkeypatch.setattr(json_items, "MAX_DEPTH", 1000)
    with pytest.raises(UserError, match="brackets are open") as refused:
        list(read(text)[1])
    assert refused.value.problems[0].location.line == line
