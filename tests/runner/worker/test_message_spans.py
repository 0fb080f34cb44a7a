"""Contents are found in a rendered text to the character, whatever the template does with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment
from recipekit.runner.worker.message_spans import locate, mark_contents, unmarked, whole_contents

CHAT = [{"role": "user", "content": "Where is the owl?"}, {"role": "assistant", "content": "In the tall tree."}]
PLAIN = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<end>{% endfor %}"


def rendering(template):
    compiled = Environment().from_string(template)
    return lambda messages: compiled.render(messages=messages)


def located(template, messages):
    render = rendering(template)
    return locate(messages, render, render(messages))


def lost(template, messages):
    return [(one.kind, one.text) for one in located(template, messages).lost]


texts = st.text(st.characters(blacklist_categories=["Cs", "Co"]), min_size=1).filter(str.strip)


@given(st.lists(texts, min_size=1, max_size=5))
def test_a_template_that_writes_everything_has_every_content_at_its_place(contents):
    messages = [{"role": "user", "content": content} for content in contents]
    marked = rendering(PLAIN)(mark_contents(messages))
    spans = whole_contents(messages, marked)
    assert spans is not None
    assert [unmarked(marked)[span.start : span.end] for span in spans] == contents


@given(texts)
def test_stripped_white_space_is_reported(content):
    found = located("{% for m in messages %}[{{ m.content.strip() }}]{% endfor %}", [{"role": "user", "content": content}])
    assert found is not None
    assert {one.kind for one in found.lost} == ({"whitespace"} if content != content.strip() else set())


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{% for m in messages[1:] %}{{ m.content }}{% endfor %}", [("word", w) for w in ["Where", "is", "the", "owl?"]]),
        ("{% for m in messages %}{{ m.content.split(' ')[0] }} {% endfor %}",
         [("word", w) for w in ["is", "the", "owl?", "the", "tall", "tree."]]),
        ("{% for m in messages %}{{ m.content | replace('owl', 'fox') }}{% endfor %}", [("word", "owl?")]),
        (PLAIN, []),
    ],
    ids=["a message", "all but the first word", "a word changed", "nothing"],
)  # fmt: skip
def test_words_that_are_left_out_are_named(template, expected):
    assert lost(template, CHAT) == expected


def test_reasoning_that_is_left_out_is_distinguished_from_words():
    template = "{% for m in messages %}{{ m.content.split('</think>')[-1].lstrip() }}\n{% endfor %}"
    messages = [CHAT[0], {"role": "assistant", "content": "<think>\nHigh up.\n</think>\n\nIn the tree."}]
    assert lost(template, messages) == [("reasoning", w) for w in ["<think>", "High", "up.", "</think>"]]


def test_contents_that_hold_marks_themselves_are_followed():
    messages = [{"role": "user", "content": "a \U000f0000 b\U000f0001"}]
    assert whole_contents(messages, rendering(PLAIN)(mark_contents(messages))) is None
    found = located(PLAIN, messages)
    assert found is not None and not found.lost


def test_a_content_that_the_template_repeats_is_not_lost():
    assert lost("{% for m in messages %}{{ m.content }} {{ m.content }}\n{% endfor %}", CHAT) == []


@pytest.mark.parametrize(
    ("written", "content", "inserted"),
    [
        ("m.content|indent(2)", "Yes.\nNo.", "\n  "),
        ("'> ' ~ m.content.replace('\n', '\n> ')", "Yes.\nNo.", "\n> "),
        ("m.content.replace(' ', ' (sic) ')", "In it.", " (sic) "),
        ("m.content.replace('\n', '\n\n')", "Yes.\nNo.", "\n\n"),
    ],
)
def test_characters_that_a_template_writes_into_a_message_are_named(written, content, inserted):
    template = PLAIN.replace("m.content", written)
    assert lost(template, [{"role": "user", "content": content}]) == [("inserted", inserted)]
    assert lost(template, [{"role": "user", "content": "One"}]) == []
