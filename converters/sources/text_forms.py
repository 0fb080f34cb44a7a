"""Tell by its first lines what a text file holds instead of text: what a program wrote for another one, or an annotator with marks.

As text, its braces, tags, times and commands would be trained.
"""

import re

LINES = 100  # looked at: comments may come first
_LONG = 1000  # characters of each line

A_TABLE = "a table"
_READS = "the converter table reads its texts (text_key)"
_TAG = r"[a-z][\w:-]*"
_NODE = r"\(\s*(?:[A-Z][A-Z$-]*|\d)?\s*\((?:[A-Z][A-Z$-]*|\d)[ (]"
# What the first lines look like, and what they are.
_FORMS = tuple((re.compile(pattern), what) for pattern, what in (
    # Objects, or a list; in prose a bracket is followed by a word.
    (r"(\[\s*)*(\{\s*(\"|$|\})|\[\s*(\"|$))", f"JSON: {_READS}"),
    (r"\[?\s*\{\s*'[^'\n]{1,60}'\s*:", "rows as Python prints them: write them as JSON, with json.dumps"),
    (rf"(?i:<(?:!doctype\s|html\b|\?xml\s|{_TAG}\s+[\w:-]+\s*=\s*[\"']|{_TAG}>\s*\n\s*<{_TAG}[\s>]))|\{{\\rtf\d",
     "HTML, XML or RTF: write its text alone, for example with pandoc -t plain"),
    (r"(?i:WEBVTT\b)|\d+\s*\n\s*\d+:\d\d:\d\d[,.]\d+ --> |\d+:\d\d:\d\d\.\d+,\d+:\d\d:\d\d\.\d+\s*\n|\[Script Info\]|\{\d+\}\{\d+\}"
     r"|\[(?:ar|ti|al|by):[^\]\n]*\]\s*\n|\[\d\d:\d\d\.\d\d\d?\]", "subtitles or lyrics with their times: write what is said alone"),
    (r"(?:window\.YTD\.\S+|module\.exports|(?:(?:const|let|var) )?[A-Za-z_]\w*)\s*=\s*[\[{]\s*(?:[\[{(\"'\n]|$)|export default [\[{]"
     r"|\[?\s*\{\s*[a-z]\w*\s*:\s*[\"']",
     "data within a program, as in an archive of Twitter: remove all before the first bracket, and write it as JSON"),
    (r"(?:#.*\n\s*)*\[\[?[\w.-]+\]\]?\s*\n\s*[\w.-]+\s*=", "settings (TOML or INI): write the texts as a table"),
    (r"(?:%.*\n\s*)*(?i:@relation\s)", "ARFF, as Weka writes a table: write it as CSV"),
    (r"(?:(?:--|/\*).*\n\s*)*(?:(?:CREATE|DROP) (?:TABLE|DATABASE)|INSERT INTO|PRAGMA \w+ ?=|BEGIN TRANSACTION|SET \w+ ?=|/\*!\d+) ?",
     "SQL: load it into its database, and export the table as CSV"),
    (r"(?:#.*\n|---\s*\n)*(?:- [\w\"'-]+:(?:\s.*)?\n\s+[\w\"'-]+:|version:\s*[\"']?\d.*\n\s*\w+:\s*\n)|## (?:intent|synonym|regex|lookup):",
     "YAML, or the examples of a bot: write them as a table with a column for the text and one for its label"),
    (r"(?:#.*\n\s*)*msgid \"", "translations (gettext): write them as a table with a column for each language"),
    (r"@\w+\{[^,\s{}]+,\s*\n", "BibTeX: write the texts as a table"),
    (r"@(?:UTF8|Begin)\b", "a transcript of CHILDES (CHAT): write what is said alone, without the lines with @ and %"),
    (rf"{_NODE}|#FORMAT=WebAnno|# (?:newdoc id|sent_id|global\.columns) = ",
     "sentences with annotations of their words: join the words, and leave the annotations out"),
    (r"[+-]?\d+(?: \d+:[-+.\deE]+){2,}\s*\n", "vectors of features (LIBSVM), not text"),
))  # fmt: skip
_HEADER = re.compile(r"[A-Za-z_]\w*([,;|\t]\w+)+")  # names and separators without a blank


def form_of(lines: list[str]) -> str:
    """Return what a file with these first lines holds instead of text, and what to do; "" if it is text."""
    head = "".join(f"{line[:_LONG]}\n" for line in lines[:LINES]).lstrip()
    if what := next((what for pattern, what in _FORMS if pattern.match(head)), ""):
        return what
    return f"{A_TABLE}: {_READS}" if lines and _HEADER.fullmatch(lines[0].strip()) else ""
