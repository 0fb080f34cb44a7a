"""What counts as a word, in every measure of texts."""

# Chinese, Japanese and Korean are written without spaces, or their words are long: each character counts as a word.
CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
WORD = rf"[{CJK}]|[^\W{CJK}]+"
SPACED = rf"[{CJK}]|[^\s{CJK}]+"  # with the punctuation around a word
