"""SentencePiece tokenizers in a GGUF file: llama.cpp's rule with the written scores gives the tokens of the tokenizer, or it is refused.

`joined` is llama.cpp's rule in a few lines; what llama.cpp itself makes of such models is in test_gguf.py.
"""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

tokenizers = pytest.importorskip("tokenizers", reason="needs the extra [train]")
gguf = pytest.importorskip("gguf", reason="needs the extra [train]")

from recipekit.runner.workflows.gguf_tokenizer import Vocabulary, vocabulary
from recipekit.schemas.base.errors import UserError

from ...support.sentencepiece_models import SPACE, TOKENIZERS, tokenizer_json
from ...support.tiny import emogpt_rows

TEXTS = [message["content"] for row in emogpt_rows() for message in row["messages"]]
MADE = {name: tokenizer_json(name, TEXTS) for name in TOKENIZERS}


def read(folder: Path, tokenizer: dict) -> Vocabulary:
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return vocabulary(folder, 1000)


def joined(words: Vocabulary, text: str) -> list[int]:
    """Join the pair whose result has the best score until no result is a token; what is left and no token is its bytes."""
    assert words.scores is not None
    ids = {token: number for number, token in words.tokens.items()}
    parts = [*((" " if words.space_prefix else "") + text).replace(" ", SPACE)]
    while True:
        pairs = [(words.scores[ids[a + b]], -n) for n, (a, b) in enumerate(zip(parts, parts[1:], strict=False)) if a + b in ids]
        if not pairs:
            break
        at = -max(pairs)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return [number for part in parts for number in ([ids[part]] if part in ids else [ids[f"<0x{byte:02X}>"] for byte in part.encode()])]


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> dict[str, Vocabulary]:
    return {name: read(tmp_path_factory.mktemp(name), made) for name, made in MADE.items()}


@given(
    st.lists(st.sampled_from([*"the catowlbrn?.,7 \n", "\n\n", "  ", "🌙", "é", "sleeps in", " number", SPACE]), min_size=1).map("".join)
)
@settings(max_examples=60)
def test_the_written_scores_give_the_tokens_of_the_tokenizer(words, text: str) -> None:
    for name in ("llama2", "phi3", "gemma2"):
        made = tokenizers.Tokenizer.from_str(json.dumps(MADE[name]))
        assert joined(words[name], text) == made.encode(text, add_special_tokens=False).ids, name


def test_each_form_is_recognised(words) -> None:
    found = {name: (one.space_prefix, one.strips, len(one.notes)) for name, one in words.items()}
    assert found == {"mistral": (False, False, 1), "llama2": (True, False, 0), "phi3": (True, True, 0), "gemma2": (False, False, 0)}
    kinds = words["phi3"].types
    assert [kinds[number].name for number in (0, 1, 8, 300)] == ["UNKNOWN", "CONTROL", "BYTE", "NORMAL"]


def without_a_merge(made: dict) -> None:
    del made["model"]["merges"][len(made["model"]["merges"]) // 2]


def out_of_order(made: dict) -> None:
    merges = made["model"]["merges"]
    split = next(n for n in range(1, len(merges)) if "".join(merges[n]) == "".join(merges[n - 1]))
    merges.append(merges.pop(split))


def split_at_spaces(made: dict) -> None:
    made |= {"normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": True}}


def strips_after_one(made: dict) -> None:
    made["added_tokens"][0]["rstrip"] = True


def strips_before(made: dict) -> None:
    made["added_tokens"][1]["lstrip"] = True


def lacks_a_byte(made: dict) -> None:
    del made["model"]["vocab"]["<0x7F>"]


def lowers(made: dict) -> None:
    made["normalizer"] = {"type": "Lowercase"}


CHANGES = {
    without_a_merge: "its merges do not join",
    out_of_order: "not in SentencePiece's order",
    split_at_spaces: "treats spaces in a way",
    strips_after_one: "not those that do in Phi-3",
    strips_before: "looks for the token '<s>'",
    lacks_a_byte: "lacks <0x7F>",
    lowers: "treats spaces in a way",
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_llama_cpp_would_split_otherwise_is_refused(change, tmp_path: Path) -> None:
    made = copy.deepcopy(MADE["llama2"])
    change(made)
    with pytest.raises(UserError, match=CHANGES[change]):
        read(tmp_path, made)


def test_a_model_without_a_tokenizer_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tokenizer\.json: is missing"):
        vocabulary(tmp_path, 1000)
