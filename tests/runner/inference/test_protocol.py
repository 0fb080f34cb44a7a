"""Chat completions as values."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipekit.runner.inference.protocol import BadRequest, ChatRequest, TextsRequest, error_body, read_request, read_texts

HI = [{"role": "user", "content": "Hi"}]


def test_defaults_are_those_of_the_protocol() -> None:
    asked = read_request({"model": "m", "messages": HI})
    assert asked == (HI, 1.0, 1.0, 1.0, None, None, False, False)


def test_text_parts_and_both_token_limits_are_read() -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]}]
    assert read_request({"messages": parts, "max_tokens": 3}).messages == HI
    assert read_request({"messages": HI, "max_tokens": 3, "max_completion_tokens": 4}).max_new_tokens == 4
    assert read_request({"messages": HI, "stream": True, "stream_options": {"include_usage": True}}).include_usage


def test_keys_without_meaning_are_accepted() -> None:
    neutral = {
        "n": 1,
        "stop": None,
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "logprobs": False,
        "tools": [],
        "user": "me",
        "seed": None,
    }
    assert read_request({"messages": HI, "response_format": {"type": "text"}} | neutral).messages == HI


def test_keys_of_a_message_that_clients_send_without_meaning_are_accepted() -> None:
    echoed = {"role": "assistant", "content": "Hello", "refusal": None, "annotations": [], "audio": None, "tool_calls": None}
    read = read_request({"messages": [{**HI[0], "name": "Ann"}, echoed, *HI]}).messages
    assert read == [*HI, {"role": "assistant", "content": "Hello"}, *HI]


WRONG = [
    ([], None), ({"messages": []}, "messages"), ({"messages": "Hi"}, "messages"), ({"messages": [{"role": "user"}]}, "messages"),
    ({"messages": [{"role": "wizard", "content": "Hi"}]}, "messages"), ({"messages": HI * 1001}, "messages"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"), ({"messages": HI, "temperature": 3}, "temperature"),
    ({"messages": HI, "temperature": True}, "temperature"), ({"messages": HI, "top_p": 0}, "top_p"), ({"messages": HI, "max_tokens": 0}, "max_tokens"),
    ({"messages": HI, "max_tokens": 2.5}, "max_tokens"), ({"messages": HI, "stream": "yes"}, "stream"), ({"messages": HI, "n": 2}, "n"),
    ({"messages": HI, "max_tokens": 10**30}, "max_tokens"), ({"messages": HI, "n": 10**9}, "n"), ({"messages": HI, "stop": ["a"] * 100_000}, "stop"),
    ({"messages": HI, "temperature": float("nan")}, "temperature"), ({"messages": HI, "temperature": float("inf")}, "temperature"),
    ({"messages": HI, "seed": 2**70}, "seed"), ({"messages": HI * 1001}, "messages"), ({"messages": HI, "logit_bias": {"1": 1e9}}, "logit_bias"),
    ({"messages": HI, "stop": ["\n"]}, "stop"), ({"messages": HI, "frequency_penalty": 0.5}, "frequency_penalty"),
    ({"messages": HI, "tools": [{}]}, "tools"), ({"messages": HI, "temprature": 1}, "temprature"),
    ({"messages": HI, "response_format": {"type": "json_object"}}, "response_format"),
    ({"messages": [*HI, {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}, *HI]}, "messages"),
    ({"messages": [*HI, {"role": "assistant", "content": "4", "reasoning_content": "2 + 2"}, *HI]}, "messages"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "parameter"), WRONG)
def test_unsupported_requests_are_refused(body: object, parameter: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        read_request(body)
    assert refused.value.parameter == parameter


NAMES = st.sampled_from(
    ["model", "messages", "temperature", "top_p", "repetition_penalty", "seed", "max_tokens", "max_completion_tokens", "stream", "stream_options", "user",
     "n", "stop", "metadata", "logit_bias", "tools", "response_format", "input", "truncate_prompt_tokens", "add_special_tokens", "priority", "role",
     "content", "type", "text", "include_usage", "x"]
)  # fmt: skip
WORDS = st.one_of(st.text(max_size=5), st.sampled_from(["user", "assistant", "system", "text", "hi", "\x00", "x" * 2000]))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system", "tool"]), "content": st.one_of(WORDS, VALUES)})


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(
        VALUES,
        st.dictionaries(NAMES, VALUES),
        st.fixed_dictionaries({"messages": st.lists(MESSAGE, max_size=3)}, optional={"stream": VALUES, "seed": VALUES, "top_p": VALUES}),
    )
)
def test_any_json_is_a_request_or_a_refusal(body: Any) -> None:
    body = orjson.loads(orjson.dumps(body))
    for read in (read_request, read_texts):
        try:
            found = read(body)
        except BadRequest as refused:
            orjson.dumps(error_body(str(refused), "invalid_request_error", refused.parameter, refused.code))
            assert len(str(refused)) < 10_000
        else:
            assert isinstance(found, TextsRequest) or _is_sound(found)


def _is_sound(asked: ChatRequest) -> bool:
    """Whether everything in the request can be used as it is."""
    texts = all(isinstance(message["content"], str) and len(message) == 2 for message in asked.messages)
    return texts and 0 <= asked.temperature <= 2 and 0 < asked.top_p <= 1 and asked.max_new_tokens != 0 and isinstance(asked.stream, bool)
