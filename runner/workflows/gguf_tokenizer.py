"""A tokenizer.json as llama.cpp reads it: byte-level BPE, or SentencePiece's BPE. What llama.cpp would split otherwise is refused.

llama.cpp joins the pair whose result has the best score, wherever the vocabulary has the result; tokenizers joins the pairs of its list of
merges, in order. Both are the same if the list has every pair whose result is a token, and all pairs of a token before those of the next.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gguf
from gguf import TokenType

from ...schemas.base.errors import Problem, UserError

_DIGITS = {"type": "Digits", "individual_digits": True}
_LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPLITS = {_LLAMA_3: "llama-bpe", _LLAMA_3.replace("{1,3}", ""): "qwen2"}  # regular expression -> llama.cpp's name
_NFC = {"type": "NFC"}
_SPACE = "\u2581"  # SentencePiece's sign for a space
_REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}
_PREPEND = {"type": "Prepend", "prepend": _SPACE}
_BYTES = tuple(f"<0x{number:02X}>" for number in range(256))
_NEVER_STRIP = {"<unk>", "<s>", "<|endoftext|>"}  # llama.cpp's rule for Phi-3: every other special token takes the white space after it
NFC_NOTE = "its tokenizer normalises text to NFC, llama.cpp does not: give it text in NFC"
FIRST_NOTE = "text that does not begin with a special token, as chats do, has a space put before it in training, but not in llama.cpp"


class Vocabulary(NamedTuple):
    """What a GGUF file says of a tokenizer. `scores` and `space_prefix` are those of SentencePiece, None for byte-level BPE; `strips`: its
    special tokens take the white space after them; `notes` are differences that remain."""

    kind: str
    pre_tokenizer: str
    tokens: dict[int, str]
    types: dict[int, TokenType]
    scores: dict[int, float] | None = None
    space_prefix: bool | None = None
    strips: bool = False
    notes: tuple[str, ...] = ()

    def write(self, writer: gguf.GGUFWriter, folder: Path, size: int) -> None:
        """Add every token at its id, merges, special tokens and chat template. Rows of the model without a token are marked unused."""
        writer.add_tokenizer_model(self.kind)
        writer.add_tokenizer_pre(self.pre_tokenizer)
        writer.add_token_list([self.tokens.get(number, f"[PAD{number}]") for number in range(size)])
        writer.add_token_types([self.types.get(number, TokenType.UNUSED) for number in range(size)])
        if self.scores is not None:
            writer.add_token_scores([self.scores.get(number, -1e4) for number in range(size)])
        if self.space_prefix is not None:
            writer.add_add_space_prefix(self.space_prefix)
        special = gguf.SpecialVocab(folder, load_merges=self.scores is None, n_vocab=size)
        special.add_to_gguf(writer, quiet=True)
        # llama.cpp ends a reply at these too; it knows some ends of turns by their names, but not those of a recipe.
        further = [number for number in _ends(folder) if number not in special.special_token_ids.values()]
        for number, add in zip(further, (writer.add_eot_token_id, writer.add_eom_token_id), strict=False):
            add(number)


def _ends(folder: Path) -> list[int]:
    """Return the tokens at which the model's own settings end a reply."""
    path = folder / "generation_config.json"
    ends = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id") if path.is_file() else None
    return ends if isinstance(ends, list) else [] if ends is None else [ends]


def vocabulary(folder: Path, size: int) -> Vocabulary:
    """Return the vocabulary of the folder's tokenizer, for a model with `size` rows. Raises UserError if llama.cpp may split text
    differently."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise _refused(path, "is missing: the tokenizer is of a kind that cannot be exported")
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    tokens = {number: text for text, number in tokenizer["model"].get("vocab", {}).items()} if _is_bpe(tokenizer) else {}
    types = dict.fromkeys(tokens, TokenType.NORMAL)
    for added in tokenizer["added_tokens"]:
        tokens[added["id"]] = added["content"]
        types[added["id"]] = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
    if tokens and max(tokens) >= size:
        raise UserError(Problem(folder, f"its tokenizer has the id {max(tokens):,}, but its model has only {size:,} rows", rule="no-gguf"))
    if _is_bpe(tokenizer) and tokenizer["model"].get("byte_fallback") and "ByteLevel" not in _kinds(tokenizer):
        return _sentencepiece(path, tokenizer, tokens, types)
    normalizer = tokenizer.get("normalizer") or {"normalizers": []}
    if not _is_bpe(tokenizer) or not tokenizer["pre_tokenizer"] or not (normalizer == _NFC or normalizer.get("normalizers") == []):
        raise _refused(path, "is neither a byte-level BPE without normalisation (or with NFC), nor SentencePiece's BPE")
    notes = (NFC_NOTE,) if tokenizer.get("normalizer") == _NFC else ()
    return Vocabulary("gpt2", pre_tokenizer_name(path, tokenizer), tokens, types, notes=notes)


def pre_tokenizer_name(path: Path, tokenizer: dict[str, Any]) -> str:
    """Return llama.cpp's name for how a byte-level BPE splits text first. Raises UserError if llama.cpp may split it differently."""
    steps, kinds = _steps(tokenizer), _kinds(tokenizer)
    last = steps[-1]
    if kinds[-1:] == ["ByteLevel"] and not last.get("add_prefix_space"):
        if kinds == ["ByteLevel"] and last.get("use_regex", True):
            return "gpt-2"
        if kinds == ["Digits", "ByteLevel"] and steps[0] == _DIGITS and last.get("use_regex", True):
            return "smollm"
        if kinds == ["Split", "ByteLevel"] and not last.get("use_regex", True):
            if name := _SPLITS.get(steps[0]["pattern"].get("Regex", "")):
                return name
    raise _refused(path, f"splits text in a way that llama.cpp has no name for: {kinds}")


def _sentencepiece(path: Path, tokenizer: dict[str, Any], tokens: dict[int, str], types: dict[int, TokenType]) -> Vocabulary:
    if faults := [*_model_faults(tokenizer)]:
        raise UserError(*(fault for what in faults for fault in _refused(path, what).problems))
    prefix, first = _space_prefix(path, tokenizer)
    strips = _strips(path, tokenizer["added_tokens"], prefix)
    model = tokenizer["model"]
    merges = [tuple(pair.split(" ", 1)) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
    added = {token["content"] for token in tokenizer["added_tokens"]}
    scores = _scores(path, set(model["vocab"]) - {*_BYTES} - {text for text in added if _SPACE not in text}, merges)
    ids = model["vocab"]
    types |= {ids[text]: TokenType.BYTE for text in _BYTES}
    if model.get("unk_token") in ids:
        types[ids[model["unk_token"]]] = TokenType.UNKNOWN
    found = {number: scores.get(text, 0.0) for number, text in tokens.items()}
    return Vocabulary("llama", "default", tokens, types, found, prefix, strips, (FIRST_NOTE,) if first else ())


def _model_faults(tokenizer: dict[str, Any]) -> Iterator[str]:
    model = tokenizer["model"]
    if missing := [text for text in _BYTES if text not in model["vocab"]]:
        yield f"lacks {missing[0]}, one of the 256 bytes"
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"):
        if model.get(key):
            yield f"has {key}, which llama.cpp has not"


def _space_prefix(path: Path, tokenizer: dict[str, Any]) -> tuple[bool, bool]:
    """Return whether every text between special tokens gets a space before it, and whether only a text at the very beginning does."""
    normalizer, before = tokenizer.get("normalizer"), tokenizer.get("pre_tokenizer")
    steps = normalizer.get("normalizers", [normalizer]) if normalizer else []
    if steps in ([_REPLACE], [_PREPEND, _REPLACE]) and (before is None or _cuts_nothing(before)):
        return len(steps) == 2, False
    if not steps and before and before.get("type") == "Metaspace" and before.get("replacement") == _SPACE and before.get("split") is False:
        if before.get("prepend_scheme") in ("never", "first"):
            return False, before["prepend_scheme"] == "first"
    raise _refused(path, "treats spaces in a way that llama.cpp has not: normalizer and pre_tokenizer are not those of Llama 2 or Gemma")


def _cuts_nothing(step: dict[str, Any]) -> bool:
    """Return whether the step splits at spaces, of which the normalizer has left none."""
    return step.get("type") == "Split" and step.get("pattern") == {"String": " "}


def _strips(path: Path, added: list[dict[str, Any]], prefix: bool) -> bool:
    """Return whether special tokens take the white space after them, as llama.cpp does it for Phi-3, or none does."""
    for token in added:
        if token.get("lstrip") or token.get("single_word") or token.get("normalized") and (prefix or " " in token["content"]):
            raise _refused(path, f"looks for the token {token['content']!r} in a way that llama.cpp does not")
    stripping = {token["content"] for token in added if token.get("rstrip")}
    if stripping and stripping != {token["content"] for token in added} - _NEVER_STRIP:
        raise _refused(path, "some special tokens take the white space after them, but not those that do in Phi-3")
    return bool(stripping)


def _scores(path: Path, pieces: set[str], merges: list[tuple[str, ...]]) -> dict[str, float]:
    """Return a score for each piece that pairs are joined to: the earlier in the merges, the higher."""
    scores: dict[str, float] = {}
    last = ""
    for pair in merges:
        piece = "".join(pair)
        if piece != last and piece in scores:
            raise _refused(path, f"its merges are not in SentencePiece's order: those of {piece!r} are not one after the other")
        scores.setdefault(piece, -float(len(scores)))
        last = piece
    known = set(merges)
    for piece in pieces:
        for cut in range(1, len(piece)):
            pair = piece[:cut], piece[cut:]
            if pair not in known and all(len(part) == 1 or part in pieces for part in pair):
                raise _refused(path, f"its merges do not join {pair[0]!r} and {pair[1]!r}, which llama.cpp would")
    return scores


def _steps(tokenizer: dict[str, Any]) -> list[dict[str, Any]]:
    before = tokenizer["pre_tokenizer"] or {}
    return before.get("pretokenizers", [before])


def _kinds(tokenizer: dict[str, Any]) -> list[str | None]:
    return [step.get("type") for step in _steps(tokenizer)]


def _is_bpe(tokenizer: dict[str, Any]) -> bool:
    return tokenizer["model"].get("type") == "BPE"


def _refused(path: Path, what: str) -> UserError:
    hint = "the tokenizers of SmolLM2, Llama 2 and 3, Qwen2, GPT-2, Mistral, Phi-3 and Gemma 2 can be exported"
    return UserError(Problem(path, what, hint, "no-gguf"))
