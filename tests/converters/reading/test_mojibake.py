"""Misread UTF-8 is repaired if no character is lost, and correct text is never changed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.converters.building.conversion import Batch, Spec, convert_batch
from recipekit.converters.reading.mojibake import FIXED, fix_fields, fix_text, may_be_misread
from recipekit.converters.reading.records import Row

WORDS = [
    "naïve", "café", "Größe", "façade", "“quoted”", "‘single’", "it’s", "– dash –", "…", "你好，世界！", "“你好”", "こんにちは", "привет",
    "안녕하세요", "🎯", "👩‍👩‍👧", "✅", "→", "π ≈ 3", "€5", "£5", "100 °C", "½", "„Ärger“", "‚Übung‘", "«à bientôt»", "señor", "Łódź", "×2", "©",
    "plain", "words", "in", "English", "©", "naïveté", "L’été", "Ångström",
]  # fmt: skip
CORRECT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)


@pytest.mark.parametrize(
    ("broken", "right"),
    [
        ("Itâ€™s fine", "It’s fine"), ("â€œquotedâ€\x9d", "“quoted”"), ("Ã©tÃ©", "été"), ("caf√© cr√®me", "café crème"), ("l‚Äôamour", "l’amour"),
        ("‚úÖ Fast", "✅ Fast"), ("(4 ‚Üí 2 or 1)", "(4 → 2 or 1)"), ("\uf8ffüöÄ Starting", "🚀 Starting"), ("## \uf8ffüõ†Ô∏è Step", "## 🛠️ Step"),
        ("Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "привет"), ("ä½\xa0å¥½ä¸–ç•Œ", "你好世界"), ("ItÃ¢â‚¬â„¢s", "It’s"),
    ],
)  # fmt: skip
def test_mojibake_is_repaired(broken, right):
    assert fix_text(broken) == right


@pytest.mark.parametrize("text", WORDS + ["Äh, “Äh”", "‚Ä", "√9 = 3", "¬A ∧ B", "Ω ± 5 ≤ x", "ÀÉ", "Â", "\uf8ff Apple", "", "ascii"])
def test_correct_text_is_unchanged(text):
    assert fix_text(text) == text


def test_the_fast_check_finds_every_misread_text():
    """Every letter of Western Europe, and sentences: whatever encoding was taken for UTF-8."""
    for codec in ("latin-1", "cp1252", "mac_roman"):
        for text in ["It’s fine", "“été”", "✅ Fast", "你好，世界", "привет", "🚀", *map(chr, range(0x80, 0x100))]:
            misread = text.encode().decode(codec, "ignore")
            assert len(misread) < 2 or may_be_misread(misread.encode()), (codec, text)
    assert not may_be_misread("plain, 字, 💻 and ✅, “quoted”".encode())
    assert not may_be_misread(b"ascii")


@given(CORRECT)
def test_no_sentence_of_correct_words_is_changed(text):
    assert fix_text(text) == text


@given(CORRECT, st.sampled_from(["cp1252", "mac_roman"]))
def test_a_misread_sentence_comes_back_or_stays_as_it_is(text, codec):
    try:
        broken = text.encode().decode(codec)
    except UnicodeDecodeError:
        return
    assert fix_text(broken) in (text, broken)


def test_lines_are_repaired_one_by_one():
    assert fix_text("Itâ€™s fine\n“correct” ✅\n✅ â€™") == "It’s fine\n“correct” ✅\n✅ â€™"


def test_correct_records_are_returned_unchanged():
    right = {"messages": [{"role": "user", "content": "“Why?”"}]}
    assert fix_fields(right) is right
    assert fix_fields({"text": "Itâ€™s", "label": "Ã©"}) == {"text": "It’s", "label": "Ã©"}
    assert fix_fields({"messages": [{"role": "user", "content": "Itâ€™s", "train": True}, "odd"]}) == {
        "messages": [{"role": "user", "content": "It’s", "train": True}, "odd"],
    }  # fmt: skip
    for odd in ({"messages": None}, {"text": 3}, {}):
        assert fix_fields(odd) is odd


def converted(*texts, **spec):
    rows = [Row({"text": text}, "a.jsonl", line) for line, text in enumerate(texts, 1)]
    return convert_batch(Spec("text", "table", {}, **spec), Batch("a.jsonl", 1, rows=rows))


def test_a_repaired_row_equals_the_correct_row():
    found = converted("It’s fine", "Itâ€™s fine", "plain")
    assert found.fixed == {1: (FIXED,)}
    assert found.digests[:16] == found.digests[16:32]
    assert json.loads(found.lines.splitlines()[1])["text"] == "It’s fine"


def test_it_can_be_switched_off():
    found = converted("Itâ€™s fine", fix_mojibake=False)
    assert (found.fixed, json.loads(found.lines)["text"]) == ({}, "Itâ€™s fine")


def test_a_row_that_a_repair_would_blank_is_kept():
    found = converted("Â\xa0")
    assert (found.fixed, len(found.ends)) == ({}, 1)


def test_the_recipes_own_system_prompt_is_not_touched():
    messages = [{"role": "user", "content": "Itâ€™s"}, {"role": "assistant", "content": "No."}]
    spec = Spec("chat", "messages", {}, system_prompt="Say â€™.")
    found = convert_batch(spec, Batch("a", 1, rows=[Row({"messages": messages}, "a", 1)]))
    assert [m["content"] for m in json.loads(found.lines)["messages"]] == ["Say â€™.", "It’s", "No."]


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from strings(part)


def test_no_text_of_the_real_files_is_changed(realdata):
    seen = 0
    for path in sorted(realdata.rglob("*")):
        if path.suffix == ".json" or path.suffix == ".jsonl":
            content = path.read_text(encoding="utf-8")
            try:
                values = [json.loads(content)]
            except json.JSONDecodeError:
                values = [json.loads(line) for line in content.splitlines() if line.startswith("{") and line.endswith("}")]
            texts = list(strings(values))
        elif path.suffix in (".csv", ".txt", ".md"):
            texts = path.read_text(encoding="utf-8", errors="ignore").splitlines()
        else:
            continue
        seen += len(texts)
        assert [text for text in texts if fix_text(text) != text] == [], path
    assert seen > 30_000
