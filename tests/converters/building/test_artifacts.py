"""What programs leave in texts by mistake."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.building.artifacts import EXCEL_LIMIT, MISSING, artifacts
from recipekit.converters.building.pipeline import build
from recipekit.converters.building.row_encoder import plain_chat
from recipekit.schemas.sections import Data, Source, Split

from ...support.jsonl import write_jsonl


def chat(reply):
    return [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": reply}]


def found(reply):
    messages = chat(reply)
    names = artifacts({"messages": messages})
    assert names == artifacts({"text": reply, "label": "x"})
    quick = plain_chat(messages)  # None decides nothing
    assert quick is None or quick[2] or not names
    return names


@pytest.mark.parametrize("word", sorted(MISSING))
@pytest.mark.parametrize("beside", ["", "!", " it is"])
def test_a_text_that_means_a_missing_value_is_an_artifact(word, beside):
    assert found(f"{word}{beside}") == (set() if beside else {word})


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Dear {{ name }}, {{city}}", {"{{name}}", "{{city}}"}),
        ("one\\ntwo\\tthree", {"\\n", "\\t"}),
        ("Answer:\\n\\n42", {"\\n"}),
        ("caf\\u00e9", {"\\u"}),
        ("It rained.\n<|endoftext|>\nA dog came.<|endoftext|>", {"<|endoftext|>"}),
        ("It rained.<|endoftext|>", set()),
        ("fish &amp; chips &#39;n&#x27; peas&nbsp;", {"&amp;", "&#39;", "&#x27;", "&nbsp;"}),
        ("one<br>two<BR />", {"<br>"}),
        ("<p>It rained.</p>\n<ul><li>twice</li></ul>", {"HTML"}),
        ("Write <p> for a paragraph", set()),
        ("<image>\nWhat is it?", {"<image>"}),
        ("I remember it_comma_ too . __eou__ So do I .", {"_comma_", "__eou__"}),
        ("a role @-@ playing <unk> -LRB- game -RRB-", {"@-@", "<unk>", "-LRB-", "-RRB-"}),
        ("meet me @ noon", set()),
        ("![](data:image/png;base64,iVBORw0KGgo=) What is it?", {"data:image/png;base64"}),
        ("It is 4【4:0†source】.", {"【†】"}),
        ("It is 4 \ue200cite\ue202turn0search1\ue201", {"U+E200", "U+E201", "U+E202"}),  # ChatGPT's own marks of a source
        ("caf\ufffd", {"U+FFFD"}),
        ("It\x92s \x93fine\x94", {"U+0092", "U+0093", "U+0094"}),  # cp1252 that was read as latin-1
        ("caf\xe9 \xa0\xbb", set()),
        ("one\r\ntwo", {"U+000D"}),
        ("joined\ufefffiles", {"U+FEFF"}),
        ("one_x000D_\ntwo", {"_x000D_"}),
        ("max_x0_y", set()),
        ("Rain\n\n*** START OF THE PROJECT GUTENBERG EBOOK RAIN ***", {"the header of Project Gutenberg"}),
        ("*** START here ***", set()),
        ('=CONCATENATE(A2, " and ", B2)', {"a formula"}),
        ("=A2&B2", {"a formula"}),
        ("=== END ===", set()),
        ("=42", set()),
        ("b'caf\\xc3\\xa9'", {"Python bytes"}),
        ('b"it\'s"', {"Python bytes"}),
        ("b'a' is bytes", set()),
        ("a\0b\x1b[0m\b", {"U+0000", "U+001B", "U+0008"}),
        ("{'text': ['x'], 'answer_start': [1]}", {"a Python list or dict"}),
        ("['a' 'b']", {"a Python list or dict"}),
        ("[   0    1 ... 1498 1499]", {"a Python list or dict"}),
        ('{"a": [1]}', set()),
        ("[1, 2]", set()),
        ("[1]", set()),
        ("['a'] is a list", set()),
        ("a" * EXCEL_LIMIT, {"32,767 characters, where Excel cuts a cell"}),
        ("a" * (EXCEL_LIMIT + 1), set()),
        ('print("a\\n")\nprint("b\\t")', set()),  # code has lines
        ("$\\nu$ and \\(\\theta\\), \\frac{1}{2} \\times \\text{m}", set()),
        ("in C:\\new\\table", set()),
        ("AT&T; a &foo; b && c; {{}} <b>", set()),
    ],
)
def test_artifacts_are_named(text, names):
    assert found(text) == names


@given(st.text(alphabet="&;#x3abr<>{}[]'\"\\nrtu09D_ $\0\b\r\x1f\f\x92\xa0" + "\ufffd\ufeff", min_size=1, max_size=30).filter(str.strip))
def test_the_quick_look_passes_no_artifact(text):
    found(text)


@pytest.mark.parametrize("kind", ["chat", "text", "classification"])
def test_rows_with_artifacts_are_counted_in_the_manifest(tmp_path, kind):
    rows = [{"user": "?", "assistant": text, "text": text, "label": "x"} for text in ("a &amp; b &amp; c", "d &amp; e", "f")]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    manifest = build(Data(kind, (Source(str(tmp_path / "rows.jsonl"), "table"),), split=Split(0)), tmp_path / "out")
    assert manifest["sources"][0]["artifacts"] == {"&amp;": 2} and manifest["rows_kept"] == 3
