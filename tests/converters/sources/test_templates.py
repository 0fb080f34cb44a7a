from recipekit.converters.sources.turns import fill


def test_named_places_are_filled():
    assert fill("{text}. Will you say {word}?", text="走吧！", word="Joy") == "走吧！. Will you say Joy?"


def test_a_filled_value_is_not_filled_again():
    assert fill("{a} {b}", a="{b}", b="{a}") == "{b} {a}"


def test_other_braces_are_literal():
    assert fill('{"label": "{word}", "x": {}} {other}', word="Joy") == '{"label": "Joy", "x": {}} {other}'
