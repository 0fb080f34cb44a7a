"""Chat completions as values."""

import pytest
from recipekit.runner.inference.protocol import BadRequest, read_request

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
