"""Find what programs leave in texts by mistake: unfilled placeholders, words for a missing value, escapes and entities written out,
characters lost to an encoding, line ends of Windows, cells cut by Excel, ends of other texts, marks of corpora and of images. They are
trained unchanged, and rows that have them are counted.
"""

import re
from collections.abc import Iterator
from html.entities import html5

from ..reading.records import RecordValue

# What pandas, R, Excel, databases and JavaScript write for a missing value, Python where it is made text, and Reddit for a removed comment.
MISSING = {"<NA>", "N/A", "NA", "NULL", "NaN", "None", "NaT", "n/a", "nan", "null", "undefined", "[object Object]",
           "\\N", "(null)", "<null>",
           "#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#SPILL!", "#CALC!", "[deleted]", "[removed]",
           # Excel in German, French, Spanish, Italian, Portuguese, Dutch, Polish, Swedish and Russian
           "#NV", "#WERT!", "#BEZUG!", "#ZAHL!", "#VALEUR!", "#NOMBRE!", "#NOM?", "#N/D", "#¡REF!", "#¡VALOR!", "#¡NUM!", "#¡DIV/0!",
           "#¿NOMBRE?", "#VALORE!", "#RIF!", "#NOME?", "#VALOR!", "#NÚM!", "#N/B", "#WAARDE!", "#VERW!", "#GETAL!", "#NAAM?", "#DEEL/0!",
           "#ARG!", "#ADR!", "#LICZBA!", "#NAZWA?", "#DZIEL/0!", "#SAKNAS!", "#VÄRDEFEL!", "#REFERENS!", "#NAMN?", "#OGILTIGT!",
           "#Н/Д", "#ЗНАЧ!", "#ССЫЛКА!", "#ЧИСЛО!", "#ИМЯ?", "#ДЕЛ/0!"}  # fmt: skip
_LONGEST_MISSING = max(map(len, MISSING))  # comparing lengths first is faster than hashing every text
EXCEL_LIMIT = 32_767  # characters in a cell; Excel cuts the rest
_LOST = "\ufffd"
_PYTHON = ("['", "{'")  # how pandas writes the lists and objects of a column
_BYTES = ("b'", 'b"')  # how Python 3 writes encoded text

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][\w.\-]{0,60})\s*\}\}", re.ASCII)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_END_OF_TEXT = re.compile(r"(?<=.)<\|end_?of_?text\|>(?=.)", re.DOTALL)  # at its end it is the one that a document has anyway
# What corpora write for an image, the end of an utterance or of a sentence, a comma, a bracket, a hyphen within a word, a rare word.
_CORPUS = re.compile(r"<(?:image|video|audio|unk|eos)>|__eo[ut]__|_comma_|-[LR][RSC]B-| @[-.,]@ ")
_SOURCE = re.compile(r"data:image/[\w+]+;base64|【[^【】]{1,40}†[^【】]{0,40}】")  # an image written out, a source that ChatGPT names
_HTML = re.compile(r"\s*<(p|div|ul|ol|table|h[1-6]|article|body)\b[^<>]*>.*</(?:p|div|ul|ol|table|h[1-6]|article|body|pre)>\s*", re.DOTALL)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ESCAPE = re.compile(r"(?<!\\)\\(?:[nrt]|u(?=[0-9a-fA-F]{4}))")
# Those from 0x80 are quotes and dashes of cp1252 that were read as latin-1; those from 0xE000 are of private use.
_CONTROL = re.compile(r"[\0-\x08\x0d-\x1f\x80-\x9f\ue000-\uf8ff\ufeff]")
# The same in UTF-8. One pattern of both would take seven times as long.
_LATIN_1, _PRIVATE = re.compile(rb"\xc2[\x80-\x9f]"), re.compile(rb"\xee[\x80-\xbf]|\xef[\x80-\xa3]")
_GUTENBERG = "*** START OF TH"  # of the header of each of its books, which end with a licence
_FORMULA = re.compile(r"=(?:[A-Z][A-Z.]+\(.*\)|[A-Z]{1,3}\d+(?:[-+*/&].*)?)", re.DOTALL)  # of a cell, whose value is not there
_EXCEL_ESCAPE = re.compile(r"_x00[01][0-9A-F]_")  # how a worksheet's file writes a control character
_NUMPY = re.compile(r"\[\s*[-+.\de]+(?:\s+(?:[-+.\de]+|\.\.\.))+\s*\]")  # an array, which may have left most of its numbers out
_TEX_OR_PATH = re.compile(r"\$|\\[(\[]|\\[a-zA-Z]+[{_^]|\b[A-Za-z]:\\")


def may_have_artifacts(body: bytes, text: str, contents: list[str], shortest: int) -> bool:
    """Return whether the contents may have artifacts: a quick look, which most chats pass. `text` is all of them, `body` their JSON, and
    `shortest` the length of the shortest.
    """
    if "{" in text or "[" in text or "\\" in text or "&" in text or "<" in text or _LOST in text:
        return True
    if shortest <= _LONGEST_MISSING and not MISSING.isdisjoint(contents):
        return True
    if b"\\u00" in body or b"\\b" in body or b"\\r" in body:  # how JSON writes control characters
        return True
    if "†" in text or ("@" in text and "@ " in text) or ("-" in text and "RB-" in text) or (";" in text and "data:image" in text):
        return True
    if "_" in text and ("_comma_" in text or "__eo" in text or "_x" in text):  # one character is found in a tenth of the time of two
        return True
    if "'" in text and "b'" in text or b'b\\"' in body or _LATIN_1.search(body):
        return True
    if "=" in text and any(map(_FORMULA.match, contents)):
        return True
    if "*" in text and _GUTENBERG in text:
        return True
    if (b"\xee" in body or b"\xef" in body) and _PRIVATE.search(body):
        return True
    return len(text) >= EXCEL_LIMIT and EXCEL_LIMIT in map(len, contents)


def artifacts(fields: RecordValue) -> set[str]:
    """Return the names of the artifacts in a valid record's texts."""
    contents = [message["content"] for message in fields["messages"]] if "messages" in fields else [fields["text"]]
    return {name for content in contents for name in _of_text(content)}


def _of_text(text: str) -> Iterator[str]:
    if text in MISSING:
        yield text
    if text.startswith(_PYTHON) and text[-1] in "]}" or text[0] == "[" and _NUMPY.fullmatch(text):
        yield "a Python list or dict"
    if text.startswith(_BYTES) and len(text) > 2 and text[-1] == text[1]:
        yield "Python bytes"
    yield from (f"U+{ord(found):04X}" for found in _CONTROL.findall(text))
    yield from _of_a_sheet(text)
    if _LOST in text:
        yield "U+FFFD"
    if _GUTENBERG in text:
        yield "the header of Project Gutenberg"
    if "{{" in text:
        yield from (f"{{{{{name}}}}}" for name in _PLACEHOLDER.findall(text))
    if "&" in text:
        yield from (found for found in _ENTITY.findall(text) if found[1] == "#" or found[1:] in html5)
    if "<" in text:
        yield from _markup(text)
    yield from (found.strip() for found in _CORPUS.findall(text))
    yield from ("【†】" if "†" in found else found for found in _SOURCE.findall(text))
    if "\\" in text and "\n" not in text and not _TEX_OR_PATH.search(text):  # code has lines
        yield from _ESCAPE.findall(text)


def _of_a_sheet(text: str) -> Iterator[str]:
    if text[0] == "=" and _FORMULA.fullmatch(text):
        yield "a formula"
    if len(text) == EXCEL_LIMIT:
        yield f"{EXCEL_LIMIT:,} characters, where Excel cuts a cell"
    if "_x" in text:
        yield from _EXCEL_ESCAPE.findall(text)


def _markup(text: str) -> Iterator[str]:
    if _BREAK.search(text):
        yield "<br>"
    if _HTML.fullmatch(text):
        yield "HTML"
    yield from _END_OF_TEXT.findall(text)
